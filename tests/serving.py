"""`authz serve` as a real process for tests: where it listens, what it says, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from bench.lab.waiting import wait_until

AUTHZ: Final = str(Path(sys.executable).with_name("authz"))
EXIT_S: Final = 30.0

ALLOW_GET: Final = """package envoy.authz

default allow := false

allow if input.attributes.request.http.method == "GET"
"""
ALLOW_POST: Final = ALLOW_GET.replace("GET", "POST")


def run_authz(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run([AUTHZ, *map(str, args)], capture_output=True, text=True, timeout=EXIT_S, cwd=cwd, check=False)


class Serving:
    """A running `authz serve` on free ports; its log is JSON lines in a file. `command` is what runs it."""

    def __init__(self, log: Path, args: Sequence[str | Path], command: Sequence[str] = (AUTHZ,)) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "serve", "--log-format", "json", *map(str, args)], stderr=stderr, stdin=subprocess.DEVNULL
            )
        try:
            self.admin: str = self.wait_for_line("starting")["admin_addr"]
        except BaseException:
            self.process.kill()
            self.process.wait(EXIT_S)
            raise

    @cached_property
    def addresses(self) -> list[str]:
        """Where checks are answered, once they are."""
        return str(self.wait_for_line("listening")["addr"]).split(", ")

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the log lines so far with this message."""
        text = self._log.read_text()
        complete = text[: text.rfind("\n") + 1].splitlines()
        return [line for line in map(json.loads, complete) if line["msg"].startswith(message)]

    def wait_for_line(self, message: str, count: int = 1) -> dict[str, Any]:
        """Return the `count`th log line with this message once it is there."""

        def found() -> dict[str, Any] | None:
            lines = self.lines(message)
            if len(lines) < count:
                assert self.process.poll() is None, f"authz ended: {self._log.read_text()}"
                return None
            return lines[count - 1]

        return wait_until(found, f"log line `{message}` #{count}")

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and JSON (or text) of an admin route."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=EXIT_S) as response:
                body, status = response.read(), response.status
        except urllib.error.HTTPError as error:
            with error:
                body, status = error.read(), error.code
        return status, json.loads(body) if body[:1] == b"{" else body.decode()

    def wait_ready(self) -> None:
        wait_until(lambda: self.get("/ready")[0] == 200, "authz is ready")

    def revision(self) -> str | None:
        return self.get("/v1/policy/active")[1]["revision"]  # type: ignore[no-any-return]

    def metric(self, series: str) -> float:
        """Return the value of one series, as `name{label="value"}`; 0 if there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{series} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def check(self, method: str = "GET", path: str = "/") -> int:
        """Return the google.rpc code of the answer to one check: 0 allows."""
        with grpc.insecure_channel(_grpc_target(self.addresses[0])) as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, CheckResponse] = channel.unary_unary(
                "/envoy.service.auth.v3.Authorization/Check", None, CheckResponse.FromString
            )
            response = call(check_request(method, path), timeout=EXIT_S, wait_for_ready=True)
        return int(response.status.code)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(EXIT_S)


def pids(authz: Serving) -> list[int]:
    """Return the processes that answer checks."""
    status, found = authz.get("/v1/policy/active")
    assert status == 200, found
    return [worker["pid"] for worker in found["workers"]]


def children(authz: Serving) -> list[int]:
    """Return the processes that it has started and that live."""
    pid = authz.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check_request(method: str, path: str) -> bytes:
    request = CheckRequest()
    request.attributes.request.http.method = method
    request.attributes.request.http.path = path
    request.attributes.request.http.host = "example.test"
    return bytes(request.SerializeToString())


def _grpc_target(address: str) -> str:
    return address.replace("unix:///", "unix:/")


@contextmanager
def serving(
    log: Path, *args: str | Path, addr: Sequence[str] = ("127.0.0.1:0",), command: Sequence[str] = (AUTHZ,), is_waiting: bool = False
) -> Iterator[Serving]:
    """Run `authz serve` until the block ends; begin the block once it answers checks, or at its start if `is_waiting` for a policy."""
    flags = [flag for one in addr for flag in ("--addr", one)]
    process = Serving(log, [*flags, "--admin-addr", "127.0.0.1:0", *args], command)
    try:
        if not is_waiting:
            process.wait_for_line("listening")
        yield process
    finally:
        process.process.kill()
        process.process.wait(EXIT_S)


def write(directory: Path, files: dict[str, str]) -> Path:
    """Write files into a directory that may not exist yet; return the directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def replace_atomically(path: Path, text: str) -> None:
    """Replace a file as editors do: write beside it, then rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.rename(path)
