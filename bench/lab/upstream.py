"""An upstream that answers every request with what it received, as JSON.

Speaks just the HTTP/1.1 that a proxy sends (Content-Length bodies, keep-alive);
it is no server for strangers. `python -m bench.lab.upstream PORT` runs it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final, cast

import orjson
import uvloop

from bench.lab.client import Request, send
from bench.lab.ports import LOOPBACK, free_port
from bench.lab.process import ManagedProcess
from bench.lab.waiting import wait_until

END_OF_HEAD: Final = b"\r\n\r\n"
REPOSITORY: Final = Path(__file__).resolve().parents[2]


class EchoProtocol(asyncio.Protocol):
    """One connection; requests may arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one, but does not inherit

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (size := request_size(self._buffer)) is not None:
            request = bytes(self._buffer[:size])
            del self._buffer[:size]
            assert self._transport is not None
            self._transport.write(answer(request))


def request_size(buffer: bytes | bytearray) -> int | None:
    """Return the length of the first request in `buffer`, or None while it is incomplete."""
    end = buffer.find(END_OF_HEAD)
    if end < 0:
        return None
    total = end + len(END_OF_HEAD)
    for line in bytes(buffer[:end]).lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            total += int(line.partition(b":")[2])
    return total if len(buffer) >= total else None


def answer(request: bytes) -> bytes:
    """Return the response to one whole request."""
    head, _, body = request.partition(END_OF_HEAD)
    start, *fields = head.decode("latin-1").split("\r\n")
    method, path, _ = start.split(" ", 2)
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    seen = {"method": method, "path": path, "headers": headers, "body": body.decode("latin-1")}
    document = orjson.dumps(seen)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(document), document)


def start_upstream(directory: Path) -> tuple[ManagedProcess, int]:
    """Start the upstream as a process and return it with its port once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "bench.lab.upstream", str(port)]
    process = ManagedProcess("upstream", command, directory / "upstream.log", {"PYTHONPATH": str(REPOSITORY)})
    wait_until(lambda: _answers(process, port), "the upstream answers")
    return process, port


def _answers(process: ManagedProcess, port: int) -> bool:
    process.require_running()
    try:
        return send(port, Request(path="/ready"), None).status == 200
    except OSError:
        return False


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(EchoProtocol, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
