"""Any bytes on a connection end in a clean answer or a clean close; nothing is raised, and what is kept is bounded."""

import gc
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from authz.server.limits import Limits
from authz.server.rpc import Call, Service
from authz.server.session import GrpcSession
from tests.server.pair import BLOCK, ECHO, PREFACE, SETTINGS_ACK, FakeLink, frame, frames_in, header_block, message, raw_call, runtime_of

LIMITS = Limits(message_bytes=200, buffered_request_bytes=300, concurrent_streams=5)
RUNTIME = runtime_of(Service({ECHO: lambda request, _call: request}), LIMITS)

stream_ids = st.sampled_from([0, 1, 2, 3, 5, 7, 9, 0x7FFFFFFF])
payloads = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([BLOCK, header_block("/x"), header_block(grpc_timeout="1S"), message(b"abc"), message(bytes(201)), message(b"")]),
    st.binary(max_size=20).map(message),
)
any_frame = st.builds(frame, st.integers(0, 17), st.integers(0, 255), stream_ids, payloads)
likely_frame = st.builds(frame, st.sampled_from([0, 1, 3, 8]), st.sampled_from([0, 1, 4, 5]), st.sampled_from([1, 3, 5]), payloads)
frame_lists = st.lists(st.one_of(any_frame, likely_frame, st.sampled_from([1, 3, 5]).map(raw_call)), max_size=25)


def run(data: bytes, cut: int) -> None:
    """Feed `data` in two reads and check what must hold for every connection."""
    link = FakeLink()
    session = GrpcSession(RUNTIME, link)
    cut %= len(data) + 1
    for part in (data[:cut], data[cut:]):
        if not link.is_closed:
            session.receive(part)
        assert session.in_flight <= LIMITS.concurrent_streams
        assert session._calls._buffered <= LIMITS.buffered_request_bytes
    session.sweep()
    if link.unread and not link.unread.startswith(b"HTTP/1.1 "):
        frames_in(bytes(link.unread))
    session.abandon()
    assert session.in_flight == 0
    assert RUNTIME.budget.used == 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_end_cleanly(data: bytes, cut: int) -> None:
    run(data, cut)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_behind_a_preface_end_cleanly(data: bytes, cut: int) -> None:
    run(PREFACE + SETTINGS_ACK + data, cut)


@settings(max_examples=600, deadline=None)
@given(frame_lists, st.integers(0, 2000))
def test_any_frames_end_cleanly(frames: list[bytes], cut: int) -> None:
    run(PREFACE + SETTINGS_ACK + b"".join(frames), cut)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 300))
def test_a_flipped_byte_in_good_traffic_ends_cleanly(position: int, value: int, cut: int) -> None:
    data = bytearray(PREFACE + SETTINGS_ACK + raw_call(1) + raw_call(3, bytes(100)) + raw_call(5))
    data[position % len(data)] = value
    run(bytes(data), cut)


def resident_bytes() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def answer_nothing(_request: bytes, _call: Call) -> bytes:
    return b""


def test_memory_is_flat_over_many_calls_and_broken_connections() -> None:
    runtime = runtime_of(Service({ECHO: answer_nothing}))

    def churn() -> None:
        session = GrpcSession(runtime, link := FakeLink())
        session.receive(PREFACE + SETTINGS_ACK)
        for number in range(4000):
            session.receive(raw_call(2 * number + 1, bytes(1400)))
            link.unread.clear()
        session.abandon()
        for number in range(300):
            broken = GrpcSession(runtime, FakeLink())
            broken.receive(
                PREFACE + raw_call(1) + frame(1, 4, 3, BLOCK) + frame(0, 0, 3, message(bytes(9000))[:8000]) + bytes([number % 256]) * 30
            )
            broken.abandon()
        gc.collect()

    churn()
    before = resident_bytes()
    for _ in range(3):
        churn()
    assert resident_bytes() - before < 4 * 2**20
