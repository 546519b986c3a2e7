"""Where a server listens: reading an address, binding it, and giving it back.

Every way in which an address can be unusable ends in an AddressError that names address, cause and fix. This module
knows sockets; it knows no protocol and no event loop.
"""

import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import Final

from authz.errors import AuthzError, ErrorCode
from authz.server.limits import LISTEN_BACKLOG, UNIX_SOCKET_MODE

_UNIX: Final = "unix://"
_MAX_PORT: Final = 65535
# sun_path of Linux holds 108 bytes, the closing NUL of a path included (unix(7)).
_MAX_UNIX_PATH: Final = 107
_FORMS: Final = "use HOST:PORT, [IPV6]:PORT, :PORT, unix:///path or unix://@name"
_LIVENESS_TIMEOUT_S: Final = 1.0

_HELP: Final = {
    errno.EADDRINUSE: "stop the process that listens there or choose another address",
    errno.EACCES: "choose a port above 1023 or a directory this user may write to",
    errno.EPERM: "choose a port above 1023 or a directory this user may write to",
    errno.EADDRNOTAVAIL: "use an address of this machine",
    errno.ENOENT: "create the directory of the socket first",
    errno.ENOTDIR: "create the directory of the socket first",
    errno.EAFNOSUPPORT: "this machine has no IPv6: use an IPv4 address",
}


class AddressError(AuthzError):
    """An address cannot be read or listened on."""

    code = ErrorCode.ADDRESS


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port; the empty host is every interface, port 0 is any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file, or with a leading `@` a name in Linux's abstract namespace."""

    path: str

    @property
    def is_abstract(self) -> bool:
        return self.path.startswith("@")

    def __str__(self) -> str:
        return _UNIX + self.path


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Return the address that `text` names."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"address `{text}` has no port", help=_FORMS)
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise AddressError(f"address `{text}`: `{port}` is not a port number", help="a port is a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        return TcpAddress(_ipv6(host[1:-1], text), int(port))
    if any(char in host for char in ":[]/@") or host != host.strip():
        raise AddressError(f"address `{text}`: `{host}` is not a host", help=_FORMS)
    return TcpAddress(host, int(port))


def _ipv6(host: str, text: str) -> str:
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        raise AddressError(f"address `{text}`: `{host}` is not an IPv6 address", help=_FORMS) from None
    return host


def _parse_unix(text: str) -> UnixAddress:
    path = text.removeprefix(_UNIX)
    if not text.startswith(_UNIX) or not (path.startswith("/") or (len(path) > 1 and path.startswith("@"))):
        raise AddressError(f"address `{text}` is not a socket path", help="use unix:///absolute/path or unix://@name")
    if "\0" in path:
        raise AddressError("socket path contains a NUL byte", help="use unix:///absolute/path or unix://@name")
    if len(os.fsencode(path)) > _MAX_UNIX_PATH:
        raise AddressError(f"address `{text}` is longer than {_MAX_UNIX_PATH} bytes", help="use a shorter socket path")
    return UnixAddress(path)


class SocketFile:
    """The file of a Unix socket that this process has made."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless it is gone or another server's by now."""
        if self._identity is not None and _identity(self._path) == self._identity:
            os.unlink(self._path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A socket that listens or is about to, and the address it really has."""

    socket: socket.socket
    address: Address
    file: SocketFile | None

    def release(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        if self.file is not None:
            self.file.remove()


def bind(address: Address) -> BoundSocket:
    """Return a listening, non-blocking socket; AddressError when the address is busy or unusable."""
    try:
        bound = _bind_unix(address) if isinstance(address, UnixAddress) else _bind_tcp(address)
        try:
            bound.socket.listen(LISTEN_BACKLOG)
        except OSError:
            bound.release()
            raise
    except OSError as error:
        raise _unusable(address, error) from error
    return bound


def bind_shared(address: Address, count: int) -> list[BoundSocket]:
    """Return a bound socket for each of several processes; connections are refused until one of them listens.

    TCP sockets share the port (SO_REUSEPORT, socket(7)): the kernel spreads connections over them. Of a Unix socket there is one,
    which all of them have. Raises AddressError, also if somebody else has the port: sharing it with a stranger would
    give him a part of the checks.
    """
    try:
        if isinstance(address, UnixAddress):
            return [_bind_unix(address)] * count
        first = _bind_tcp(address)
        first.release()
        assert isinstance(first.address, TcpAddress)
        return [_bind_tcp(first.address, is_shared=True) for _ in range(count)]
    except OSError as error:
        raise _unusable(address, error) from error


def _unusable(address: Address, error: OSError) -> AddressError:
    """Return the AddressError for what the system said of an address."""
    cause = "host is unknown" if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0).lower()
    return AddressError(f"cannot listen on `{address}`: {cause}", help=_HELP.get(error.errno or 0, _FORMS))


def _bind_tcp(address: TcpAddress, *, is_shared: bool = False) -> BoundSocket:
    family, host = _resolve(address)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Half-open connections of a peer that has vanished would otherwise stay for ever; inherited by what is accepted.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if not address.host else 1)
        listener.bind((host, address.port))
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return BoundSocket(listener, TcpAddress(address.host, listener.getsockname()[1]), None)


def _resolve(address: TcpAddress) -> tuple[socket.AddressFamily, str]:
    """Return family and numeric host; the empty host is dual-stack where the machine has IPv6."""
    if not address.host:
        return (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")  # noqa: S104 - asked for
    family, _, _, _, found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, str(found[0])


def _bind_unix(address: UnixAddress) -> BoundSocket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.is_abstract:
            listener.bind("\0" + address.path[1:])
        else:
            if _is_stale(address):
                os.unlink(address.path)
            listener.bind(address.path)
            os.chmod(address.path, UNIX_SOCKET_MODE)  # before `listen`, so nobody connects in between
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return BoundSocket(listener, address, None if address.is_abstract else SocketFile(address.path))


def _is_stale(address: UnixAddress) -> bool:
    """Tell whether a socket file is there on which nobody listens; AddressError for a file that is no socket."""
    try:
        mode = os.stat(address.path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise AddressError(f"cannot listen on `{address}`: the file is not a socket", help="choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_LIVENESS_TIMEOUT_S)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False  # a full backlog: somebody listens
    return False
