import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from authz.errors import ErrorCode
from authz.server.address import Address, AddressError, TcpAddress, UnixAddress, bind, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9191", TcpAddress("127.0.0.1", 9191)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:9191", TcpAddress("::1", 9191)),
        ("[fe80::1%eth0]:9191", TcpAddress("fe80::1%eth0", 9191)),
        (":9191", TcpAddress("", 9191)),
        ("unix:///run/authz.sock", UnixAddress("/run/authz.sock")),
        ("unix://@abstract", UnixAddress("@abstract")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "has no port"),
        ("localhost", "has no port"),
        ("localhost:", "`` is not a port number"),
        ("localhost:http", "`http` is not a port number"),
        ("localhost:65536", "`65536` is not a port number"),
        ("localhost:-1", "`-1` is not a port number"),
        ("localhost:\u0661", "is not a port number"),
        ("::1:9191", "`::1` is not a host"),
        ("http://localhost:80", "`http://localhost` is not a host"),
        (" localhost:80", "` localhost` is not a host"),
        ("[::g]:80", "`::g` is not an IPv6 address"),
        ("[127.0.0.1]:80", "`127.0.0.1` is not an IPv6 address"),
        ("unix:/run/a.sock", "is not a socket path"),
        ("unix://run/a.sock", "is not a socket path"),
        ("unix://", "is not a socket path"),
        ("unix://@", "is not a socket path"),
        ("unix:///a\0b", "NUL"),
        ("unix:///" + "a" * 107, "longer than 107 bytes"),
    ],
)
def test_a_wrong_address_is_an_error_that_says_what_to_write(text: str, cause: str) -> None:
    with pytest.raises(AddressError) as refusal:
        parse_address(text)
    assert cause in refusal.value.message
    assert refusal.value.help
    assert refusal.value.code is ErrorCode.ADDRESS


def test_port_0_becomes_the_real_port() -> None:
    bound = bind(TcpAddress("127.0.0.1", 0))
    assert isinstance(bound.address, TcpAddress)
    assert bound.address.port == bound.socket.getsockname()[1] > 0
    bound.release()


def test_no_host_is_every_interface_of_both_families() -> None:
    bound = bind(TcpAddress("", 0))
    assert isinstance(bound.address, TcpAddress)
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, bound.address.port)).close()
    bound.release()


def test_an_accepted_connection_has_keepalive() -> None:
    bound = bind(TcpAddress("127.0.0.1", 0))
    with socket.create_connection(bound.socket.getsockname()):
        bound.socket.setblocking(True)
        accepted, _ = bound.socket.accept()
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        accepted.close()
    bound.release()


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        (TcpAddress("192.0.2.1", 9), "cannot assign requested address"),
        (TcpAddress("no-such-host.invalid", 9), "host is unknown"),
        (UnixAddress("/no/such/directory/s.sock"), "no such file or directory"),
        (UnixAddress("/dev/null/s.sock"), "not a directory"),
    ],
    ids=str,
)
def test_an_unusable_address_is_named_with_cause_and_fix(address: Address, cause: str) -> None:
    with pytest.raises(AddressError) as refusal:
        bind(address)
    assert refusal.value.message == f"cannot listen on `{address}`: {cause}"
    assert refusal.value.help


def test_a_busy_port_is_an_error() -> None:
    bound = bind(TcpAddress("127.0.0.1", 0))
    with pytest.raises(AddressError, match="address already in use") as refusal:
        bind(bound.address)
    assert refusal.value.help == "stop the process that listens there or choose another address"
    bound.release()
    bind(bound.address).release()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do it")
def test_a_forbidden_directory_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AddressError, match="permission denied"):
        bind(UnixAddress(f"{tmp_path}/s.sock"))


def test_a_stale_socket_file_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    address = UnixAddress(f"{tmp_path}/s.sock")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(address.path)
    stale.close()
    bound = bind(address)
    with pytest.raises(AddressError, match=os.strerror(errno.EADDRINUSE).lower()):
        bind(address)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address.path)
    bound.release()
    assert not Path(address.path).exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(AddressError, match="the file is not a socket"):
        bind(UnixAddress(str(path)))
    assert path.read_text() == "data"


def test_a_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    bound = bind(UnixAddress(f"{tmp_path}/s.sock"))
    assert stat.S_IMODE(os.stat(f"{tmp_path}/s.sock").st_mode) == 0o660
    bound.release()


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    address = UnixAddress(f"{tmp_path}/s.sock")
    first = bind(address)
    os.unlink(address.path)
    second = bind(address)
    first.release()
    assert Path(address.path).exists()
    second.release()
    second.release()
    assert not Path(address.path).exists()
