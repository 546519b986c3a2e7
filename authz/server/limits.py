"""Every bound of the gRPC server, each with its reason.

Numbers only. Who enforces a bound, and how the peer is told, is written where it is enforced.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

# grpc-go's and grpcio's default. Envoy's `with_request_body.max_request_bytes` has to stay below it, or the check
# fails before a policy sees it.
MAX_MESSAGE_BYTES = 4 * MIB

# Envoy opens one HTTP/2 connection per worker and replica: dozens. A thousand is a leak or an attack.
MAX_CONNECTIONS = 1000

# Envoy's own default. Until a client has read our SETTINGS it may open more than we allow, and those are refused
# (RFC 9113, 5.1.2); Envoy would turn each into a failed check, so the bound is generous.
MAX_CONCURRENT_STREAMS = 1024

# Announced to peers. Envoy and grpcio send well under 2 KiB on a Check; grpc-core announces 8 to 16 KiB.
HEADER_LIST_BYTES = 32 * KIB
# Where the connection ends: peers count the per-field overhead differently, so there is room above what we announce.
MAX_HEADER_LIST_BYTES = 64 * KIB
MAX_HEADER_FIELDS = 256
# 16 KiB each: enough for a header list of the maximal size, little enough against a CONTINUATION flood.
MAX_CONTINUATIONS = 8

# A body of the usual `max_request_bytes` arrives without waiting for credit.
STREAM_WINDOW_BYTES = 1 * MIB
CONNECTION_WINDOW_BYTES = 16 * MIB

# Incomplete requests of one connection: four of the largest messages. Beyond it the stream that asks for more is refused.
MAX_BUFFERED_REQUEST_BYTES = 16 * MIB
# The same for all connections together: many connections must not add up to the memory of the pod.
MAX_TOTAL_REQUEST_BYTES = 128 * MIB

# Answers that a peer has not read. Past the first we stop reading from it, past the second it is dropped.
WRITE_HIGH_WATER_BYTES = 256 * KIB
MAX_BUFFERED_RESPONSE_BYTES = 16 * MIB
# Unsent bytes of one server stream after which its handler has to wait.
STREAM_HIGH_WATER_BYTES = 64 * KIB

# A connection that has not sent the HTTP/2 preface and SETTINGS by then is no gRPC client.
HANDSHAKE_TIMEOUT_S = 10.0
# A request that is not complete by then is ended: only a stalled peer needs so long for one message.
REQUEST_TIMEOUT_S = 30.0
# A peer that neither reads nor grants credit for so long is gone.
WRITE_STALL_TIMEOUT_S = 30.0
# How often the timeouts above are looked at; they need no better resolution.
SWEEP_INTERVAL_S = 1.0

# What a cancelled handler may take to clean up before a drained server stops waiting for it.
CANCEL_TIMEOUT_S = 1.0

# Rapid reset (CVE-2023-44487). Envoy resets every outstanding check when its timeout strikes, at most
# MAX_CONCURRENT_STREAMS at once, hence the burst; at the sustained rate the wasted work stays around 2 % of a core.
STREAM_RESET_BURST = 4 * MAX_CONCURRENT_STREAMS
STREAM_RESETS_PER_S = 1000

# PING, SETTINGS, PRIORITY_UPDATE and empty DATA frames: answered or ignored, so they must not be free. grpc clients
# send a few PINGs a second to estimate bandwidth.
CONTROL_FRAMES_PER_SWEEP = 1000
MAX_QUEUED_ACKS = 1000
MAX_SETTINGS_ENTRIES = 32

# Only the owner and its group may ask for decisions through a Unix socket.
UNIX_SOCKET_MODE = 0o660
LISTEN_BACKLOG = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that an operator or a test may set; the rest are constants."""

    message_bytes: int = MAX_MESSAGE_BYTES
    connections: int = MAX_CONNECTIONS
    concurrent_streams: int = MAX_CONCURRENT_STREAMS
    buffered_request_bytes: int = MAX_BUFFERED_REQUEST_BYTES
    total_request_bytes: int = MAX_TOTAL_REQUEST_BYTES
    buffered_response_bytes: int = MAX_BUFFERED_RESPONSE_BYTES
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    request_timeout_s: float = REQUEST_TIMEOUT_S
    write_stall_timeout_s: float = WRITE_STALL_TIMEOUT_S
