"""The life of one gRPC connection: reading, timeouts, floods, drain.

No I/O and no clock: a link brings bytes and takes output, and the server sweeps. So the whole of it runs without an
event loop, as long as no handler waits.
"""

from authz.server.calls import Calls
from authz.server.connection import ENHANCE_YOUR_CALM, WireError
from authz.server.limits import CONTROL_FRAMES_PER_SWEEP, SWEEP_INTERVAL_S
from authz.server.runtime import Link, Runtime


class GrpcSession:
    """One connection of a client."""

    def __init__(self, runtime: Runtime, link: Link) -> None:
        self._runtime = runtime
        self._link = link
        self._calls = Calls(runtime, link, self)
        self._http2 = self._calls.http2
        self._output = self._calls.output
        self._age = 0  # sweeps since the connection was made
        self._stalled = 0  # sweeps without progress of a peer that has answers to read
        self._control_frames = 0
        self._is_draining = False

    @property
    def in_flight(self) -> int:
        """Calls that have begun and are not answered."""
        return self._calls.in_flight

    # What the link tells

    def receive(self, data: bytes) -> None:
        """Process what was read and write all answers at once."""
        try:
            self._http2.receive(data)
        except WireError as error:
            self._output.give_up(error)
            return
        self._output.flush()

    def pause(self) -> None:
        """Hold back all output: the link is full."""
        self._output.pause()

    def resume(self) -> None:
        """Write what was held back."""
        self._stalled = 0
        self._output.resume()

    def abandon(self) -> None:
        """Forget everything: the link is lost."""
        self._output.abandon()
        self._calls.abandon()

    # What the server wants

    def sweep(self) -> None:
        """Enforce the timeouts; to be called every SWEEP_INTERVAL_S."""
        bounds = self._runtime.limits
        self._age += 1
        self._control_frames = 0
        if not self._http2.is_established:
            if self._age * SWEEP_INTERVAL_S >= bounds.handshake_timeout_s:
                self._link.drop("handshake", "no HTTP/2 preface in time")
            return
        self._calls.refuse_stale()
        if self._is_draining:
            # A sweep is time enough for streams to end by themselves, and for a peer to acknowledge the notice.
            self._http2.refuse_new_streams()
            self._calls.end_streams()
        self._output.flush()
        self._stalled = self._stalled + 1 if self._output.is_blocked else 0
        if self._stalled * SWEEP_INTERVAL_S >= bounds.write_stall_timeout_s:
            self._link.drop("stalled", "it has stopped reading its answers")

    def drain(self) -> None:
        """Begin to end the connection: calls in flight finish, later ones are refused once the peer has heard of it."""
        self._is_draining = True
        if not self._http2.is_established:
            self._link.close()
            return
        self._http2.begin_drain()
        self._output.flush()

    # What the peer does besides calling

    def on_credit(self) -> None:
        self._stalled = 0

    def on_control_frame(self) -> None:
        self._control_frames += 1
        if self._control_frames == CONTROL_FRAMES_PER_SWEEP:
            self._runtime.failures.peer_failed(self._link.peer, "control", "too many control frames")
            self._http2.terminate(ENHANCE_YOUR_CALM)

    def on_drain_acknowledged(self) -> None:
        self._http2.refuse_new_streams()
