"""A real HTTP server in a thread, for tests that have no event loop of their own: commands, processes, real OPA."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str], tuple[int, bytes]]


class SilentHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def threaded(handler: type[SilentHandler], port: int = 0) -> Iterator[int]:
    """Serve until the block ends; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ThreadedUpstream:
    """Where a server is, and the paths that it was asked for."""

    def __init__(self, port: int, asked: list[str]) -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        self.asked = asked


@contextmanager
def threaded_upstream(answer: Answer) -> Iterator[ThreadedUpstream]:
    """Serve JSON: what `answer` gives for a path."""
    asked: list[str] = []

    class Handler(SilentHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with threaded(Handler) as port:
        yield ThreadedUpstream(port, asked)
