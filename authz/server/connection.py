"""HTTP/2 for one connection: bytes in, calls on a handler, bytes out. The only module that imports `ngh2`.

It knows streams, settings and floods; it knows nothing of gRPC, of sockets or of time.
"""

from typing import Final, Protocol

import ngh2
from ngh2 import DataReceived, RequestReceived, StreamClosed

from authz.errors import AuthzError, ErrorCode
from authz.server import limits
from authz.server.limits import Limits
from authz.server.metadata import Headers

_PREFACE_BYTES: Final = 24  # RFC 9113, 3.4
_DRAIN_PING: Final = b"authz-dr"
# To a browser, curl or an Envoy cluster without HTTP/2: the one answer they can read.
_TO_HTTP_1: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 40\r\n\r\nthis port speaks gRPC: use HTTP/2, h2c.\n"

NO_ERROR: Final = int(ngh2.ErrorCode.NO_ERROR)
PROTOCOL_ERROR: Final = int(ngh2.ErrorCode.PROTOCOL_ERROR)
ENHANCE_YOUR_CALM: Final = int(ngh2.ErrorCode.ENHANCE_YOUR_CALM)

_CONFIGURATION: Final = ngh2.Configuration(
    max_outbound_ack=limits.MAX_QUEUED_ACKS,
    max_settings=limits.MAX_SETTINGS_ENTRIES,
    stream_reset_rate_limit=(limits.STREAM_RESET_BURST, limits.STREAM_RESETS_PER_S),
    max_continuations=limits.MAX_CONTINUATIONS,
    max_inbound_header_list_size=limits.MAX_HEADER_LIST_BYTES,
    max_inbound_header_count=limits.MAX_HEADER_FIELDS,
)


class WireError(AuthzError):
    """The peer broke HTTP/2 or a bound beyond repair; `last_words` is what may still be sent before closing."""

    code = ErrorCode.WIRE

    def __init__(self, message: str, last_words: bytes) -> None:
        super().__init__(message)
        self.last_words = last_words


class StreamHandler(Protocol):
    """Who is told what a peer does on its streams."""

    def on_request(self, stream_id: int, headers: Headers, ended: bool, /) -> None: ...
    def on_data(self, stream_id: int, data: bytes, ended: bool, /) -> None: ...
    def on_closed(self, stream_id: int, /) -> None: ...


class ControlHandler(Protocol):
    """Who is told what a peer does besides."""

    def on_credit(self) -> None: ...
    def on_control_frame(self) -> None: ...
    def on_drain_acknowledged(self) -> None: ...


class Http2Connection:
    """One server-side HTTP/2 connection.

    INVARIANT: after a WireError, or once `is_closed`, no method raises and none has an effect.
    """

    __slots__ = ("_control", "_engine", "_is_final", "_last_stream_id", "_preface_left", "_streams", "is_closed", "is_established")

    def __init__(self, streams: StreamHandler, control: ControlHandler, bounds: Limits) -> None:
        self._streams = streams
        self._control = control
        self._last_stream_id = 0
        self._is_final = False
        self._preface_left = _PREFACE_BYTES
        self.is_closed = False
        self.is_established = False  # the peer's preface and SETTINGS have arrived
        self._engine = ngh2.Connection(ngh2.Role.SERVER, _CONFIGURATION)
        self._engine.initiate_connection(
            {
                ngh2.Setting.MAX_CONCURRENT_STREAMS: bounds.concurrent_streams,
                ngh2.Setting.INITIAL_WINDOW_SIZE: limits.STREAM_WINDOW_BYTES,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: limits.HEADER_LIST_BYTES,
            }
        )
        self._engine.set_local_window_size(limits.CONNECTION_WINDOW_BYTES)

    # Input

    def receive(self, data: bytes) -> None:
        """Process bytes of the peer and tell the handler; WireError ends the connection."""
        if self.is_closed:
            return
        try:
            self._engine.receive_data(data)
        except (ngh2.NGH2Error, ValueError) as error:
            raise self._fail(error, data) from error
        if self._preface_left > 0:
            self._preface_left -= len(data)
        self._dispatch()

    def _dispatch(self) -> None:
        handler = self._streams
        for event in self._engine.events():
            if isinstance(event, DataReceived):
                handler.on_data(event.stream_id, event.data, event.end_stream)
            elif isinstance(event, RequestReceived):
                self._last_stream_id = event.stream_id
                handler.on_request(event.stream_id, event.headers, event.end_stream)
            elif isinstance(event, StreamClosed):
                handler.on_closed(event.stream_id)
            else:
                self._on_rare_event(event)

    def _on_rare_event(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.WindowUpdated():
                self._control.on_credit()
            case ngh2.TrailersReceived(stream_id=stream_id):
                self._streams.on_data(stream_id, b"", True)
            case ngh2.SettingsReceived():
                self.is_established = True
                self._control.on_control_frame()
            case ngh2.PingAcknowledged(opaque_data=data) if data == _DRAIN_PING:
                self._control.on_drain_acknowledged()
            case ngh2.PingReceived() | ngh2.PingAcknowledged() | ngh2.PriorityUpdateReceived():
                self._control.on_control_frame()
            case ngh2.ConnectionClosed():
                self.is_closed = True
            case _:
                # A reset is followed by StreamClosed, a GOAWAY by ConnectionClosed: the others tell us nothing to act on.
                return

    def _fail(self, error: Exception, data: bytes) -> WireError:
        """Close, and compose the last words by hand: the engine has discarded its session."""
        self.is_closed = True
        if self._preface_left > 0:
            return WireError(f"no HTTP/2 client: {error}", _TO_HTTP_1 if data[:1].isalpha() else b"")
        calm = isinstance(error, ngh2.DenialOfServiceError)
        return WireError(str(error), _goaway(self._last_stream_id, ENHANCE_YOUR_CALM if calm else PROTOCOL_ERROR))

    # Output: queued until `take_output`. A stream or connection that the peer has ended meanwhile takes nothing.

    def respond(self, stream_id: int, headers: Headers, body: bytes, trailers: Headers) -> None:
        """Queue a whole response."""
        engine = self._engine
        try:
            engine.send_response(stream_id, headers)
            engine.send_data(stream_id, body)
            engine.send_trailers(stream_id, trailers)
        except ngh2.NGH2Error:
            return

    def respond_headers(self, stream_id: int, headers: Headers, *, ended: bool) -> None:
        """Queue the header block of a response, which is all of it if `ended`."""
        try:
            self._engine.send_response(stream_id, headers, end_stream=ended)
        except ngh2.NGH2Error:
            return

    def send_data(self, stream_id: int, body: bytes) -> None:
        """Queue part of a response body."""
        try:
            self._engine.send_data(stream_id, body)
        except ngh2.NGH2Error:
            return

    def send_trailers(self, stream_id: int, trailers: Headers) -> None:
        """Queue the end of a response."""
        try:
            self._engine.send_trailers(stream_id, trailers)
        except ngh2.NGH2Error:
            return

    def reset(self, stream_id: int, code: int) -> None:
        """Queue RST_STREAM. It overtakes and discards what is queued for the stream, so take the output first."""
        try:
            self._engine.reset_stream(stream_id, code)
        except ngh2.NGH2Error:
            return

    def begin_drain(self) -> None:
        """Announce the end (GOAWAY with the highest id) and ask for a PING, so that racing requests are still served."""
        try:
            self._engine.send_shutdown_notice()
            self._engine.ping(_DRAIN_PING)
        except ngh2.NGH2Error:
            return

    def refuse_new_streams(self) -> None:
        """Send the final GOAWAY, once: open streams finish, later ones are ignored, then the connection is closed."""
        if self._is_final:
            return
        self._is_final = True
        try:
            self._engine.send_goaway(NO_ERROR)
        except ngh2.NGH2Error:
            return

    def terminate(self, code: int) -> None:
        """Send GOAWAY and drop every stream."""
        try:
            self._engine.terminate_connection(code)
        except ngh2.NGH2Error:
            return

    def take_output(self) -> bytes:
        """Return all bytes that flow control lets us send now; none before the peer has shown that it speaks HTTP/2."""
        if self.is_closed or self._preface_left > 0:
            return b""
        try:
            output = self._engine.data_to_send()
        except (ngh2.NGH2Error, ValueError) as error:
            raise self._fail(error, b"") from error
        self._dispatch()
        return output

    def queued_bytes(self, stream_id: int | None = None) -> int:
        """Return the body bytes, of one stream or of all, that wait for the peer's credit."""
        return self._engine.queued_body_size(stream_id)


def _goaway(last_stream_id: int, code: int) -> bytes:
    """Return a GOAWAY frame (RFC 9113, 6.8)."""
    return b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big")
