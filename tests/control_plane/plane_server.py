"""A control plane for tests: a real HTTP server in a thread that has bundles, and receives status reports. It can go down and come back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from bench.lab.waiting import wait_until
from tests.bundle.archives import archive
from tests.outbound.threaded import SilentHandler, threaded

Report: TypeAlias = dict[str, Any]


class PlaneServer:
    """What it has, by path: an archive, or the status that it answers with. `reports` are those that came, oldest first."""

    def __init__(self) -> None:
        self.has: dict[str, bytes | int] = {}
        self.reports: list[Report] = []
        self.report_paths: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.status_answer = 200
        self.port = 0
        self._up = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, at the same port as before if there was one."""
        plane = self

        class Handler(SilentHandler):
            def do_GET(self) -> None:  # noqa: N802 - the library's name
                plane.get(self)

            def do_POST(self) -> None:  # noqa: N802
                plane.post(self)

        self.port = self._up.enter_context(threaded(Handler, self.port))

    def stop(self) -> None:
        """Refuse connections."""
        self._up.close()

    def get(self, request: SilentHandler) -> None:
        known = request.headers.get("If-None-Match", "")
        self.asked.append((request.path, known))
        found = self.has.get(request.path, 404)
        if isinstance(found, int):
            _answer(request, found)
            return
        etag = f'"{hashlib.sha256(found).hexdigest()[:8]}"'
        _answer(request, *((304, b"") if known == etag else (200, found)), ETag=etag)

    def post(self, request: SilentHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        assert request.headers["Content-Type"] == "application/json"
        if self.status_answer == 200:
            self.reports.append(json.loads(body))
            self.report_paths.append(request.path)
        _answer(request, self.status_answer)

    def report(self, what: str, holds: Callable[[Report], Any] = bool) -> Report:
        """Return the newest report once it is as wanted."""
        return wait_until(lambda: self.reports[-1] if self.reports and holds(self.reports[-1]) else None, f"a report: {what}")


def _answer(request: SilentHandler, status: int, body: bytes = b"", **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content-Type": "application/gzip", "Content-Length": str(len(body)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def plane_server() -> Iterator[PlaneServer]:
    """Have a control plane until the block ends."""
    server = PlaneServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def discovery_of(configuration: Mapping[str, Any], revision: str = "d1") -> bytes:
    """Return the archive of a discovery bundle that holds a configuration as data."""
    return archive({"data.json": json.dumps({"config": configuration}), ".manifest": json.dumps({"revision": revision})})


def bundle(resource: str, **fields: Any) -> dict[str, Any]:
    """Return a bundle's settings; it is asked for all the time."""
    return {"resource": resource, "polling": POLLING, **fields}


POLLING = {"min_delay_seconds": 0.05, "max_delay_seconds": 0.1}
