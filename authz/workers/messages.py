"""What a supervisor and its workers say to each other: msgpack frames on a stream socket, some with a policy behind them.

A frame is the length of its message and of its blob (4 and 8 bytes, big-endian), the message and the blob.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import msgspec

from authz.config import CanarySettings, Config
from authz.pdp import RehearsalReport
from authz.telemetry.stats import Stats

HEADER: Final = struct.Struct(">IQ")
MAX_MESSAGE_BYTES: Final = 2**20


class Socket(msgspec.Struct, frozen=True):
    """A bound socket that the worker has inherited: its descriptor, and the address that it has."""

    fd: int
    address: str


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The first thing a worker is told; `number` counts from 0."""

    number: int
    config: Config
    sockets: tuple[Socket, ...]


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Build the policy that is this frame's blob."""

    swap: int
    revision: str


class Commit(msgspec.Struct, frozen=True, tag="commit"):
    """Decide with the policy that was prepared for this swap."""

    swap: int


class Discard(msgspec.Struct, frozen=True, tag="discard"):
    """Forget what was prepared for this swap, or is being prepared or rehearsed: it will not be committed."""

    swap: int


class Rehearse(msgspec.Struct, frozen=True, tag="rehearse"):
    """Let the policy that was prepared for this swap shadow live checks."""

    swap: int
    settings: CanarySettings


class Conclude(msgspec.Struct, frozen=True, tag="conclude"):
    """End the rehearsal that is under way and report: another worker has seen its part of the checks."""

    swap: int


class Withhold(msgspec.Struct, frozen=True, tag="withhold"):
    """Deny every check from now on, whatever is committed meanwhile, or decide again."""

    is_withheld: bool


class Listen(msgspec.Struct, frozen=True, tag="listen"):
    """Answer checks from now on."""


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Tell your stats."""

    question: int


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Finish what was received, then end."""

    grace_s: float


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """The policy is built, or `error` says why it is not."""

    swap: int
    error: str | None = None
    help: str | None = None


class Committed(msgspec.Struct, frozen=True, tag="committed"):
    """The policy decides."""

    swap: int


class Rehearsed(msgspec.Struct, frozen=True, tag="rehearsed"):
    """The rehearsal is over; no report if it was ended before its time."""

    swap: int
    report: RehearsalReport | None


class Withheld(msgspec.Struct, frozen=True, tag="withheld"):
    """What a Withhold asked for is done."""


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """Checks are answered."""


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The answer to a Tell."""

    question: int
    stats: Stats


ToWorker: TypeAlias = Setup | Prepare | Rehearse | Conclude | Commit | Discard | Withhold | Listen | Tell | Drain
FromWorker: TypeAlias = Prepared | Rehearsed | Committed | Withheld | Listening | Told

_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker, blob: bytes = b"") -> bytes:
    """Return a frame's header and message; the blob of this length has to follow it."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body), len(blob)) + body


def decode_to_worker(body: bytes) -> ToWorker:
    """Return a message to a worker; raises msgspec.MsgspecError."""
    return _to_worker.decode(body)


def decode_from_worker(body: bytes) -> FromWorker:
    """Return a message from a worker; raises msgspec.MsgspecError."""
    return _from_worker.decode(body)
