"""`authz bundle serve` as a real process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from authz.bundle.bundle import parse_bundle
from authz.cli.main import main
from bench.lab.pki import Authority
from bench.lab.waiting import wait_until
from tests.outbound.upstream import run
from tests.publish.publishing import app, put, verification
from tests.services.control_plane import client, got
from tests.serving import AUTHZ, EXIT_S, run_authz

SIGNING = ("--signing-alg", "HS256", "--signing-key-id", "release", "--signing-key", "a secret that is long enough for HS256")


@contextmanager
def serving(log: Path, *args: str | Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the server; yield its address."""
    with log.open("wb") as stderr:
        process = subprocess.Popen([AUTHZ, "bundle", "serve", "--addr", "127.0.0.1:0", *map(str, args)], stderr=stderr)
    try:
        found = wait_until(lambda: re.search(r" at (127\.0\.0\.1:\d+)\n", log.read_text()), "the address")
        yield found[1], process
    finally:
        process.kill()
        process.wait(EXIT_S)


def get(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    with closing(HTTPConnection(address, timeout=EXIT_S)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def test_bundles_are_served_signed_until_a_stop(tmp_path: Path) -> None:
    put(tmp_path / "bundles", {**app(), "broken/a.rego": "package a\n\nx if"})
    put(tmp_path, {"token": "s3cret\n"})
    flags = ("--scope", "read", "--token-file", tmp_path / "token", "--log-format", "json")
    with serving(tmp_path / "log", tmp_path / "bundles", *SIGNING, *flags) as (address, process):
        assert get(address, "/bundles/app") == (401, b"")
        status, content = get(address, "/bundles/app", Authorization="Bearer s3cret")
        assert (status, parse_bundle("app", content, verification=verification()).is_delta) == (200, False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(EXIT_S) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert {line["msg"]: line["bundle"] for line in lines} == {
        "bundle published": "app",
        "bundle not published, it is not served": "broken",
    }
    assert "broken/a.rego:3:" in next(line["error"] for line in lines if line["bundle"] == "broken")


def test_bundles_are_served_with_tls(tmp_path: Path) -> None:
    put(tmp_path / "bundles", app())
    authority = Authority(tmp_path / "ca", "root")
    server = authority.issue("server", None, is_server=True)
    flags = ("--tls-cert-file", server.certificate, "--tls-private-key-file", server.key)
    with serving(tmp_path / "log", tmp_path / "bundles", *flags) as (address, _):

        async def test() -> None:
            async with client(f"https://{address}", tls={"ca_cert": str(authority.certificate)}) as asker:
                assert (await got(asker, "bundles/app")).status == 200

        run(test())


def test_a_directory_that_is_a_policy_itself_is_refused_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path, {"allow.rego": "package a", "sub/b.rego": "package b"})
    result = run_authz("bundle", "serve", tmp_path)
    assert result.returncode == 1
    assert f"{tmp_path}/allow.rego: stands where only bundles do" in result.stderr
    assert "move the files into one called as the bundle, or name the folder above" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message", "code"),
    [
        (("--scope", "read"), "give --signing-key, too", 2),
        ((*SIGNING, "--scope", "read", "--claims-file", "claims.json"), "--scope is `read`, but claims.json has the scope `write`", 2),
        (("--signing-key", "none.pem"), "none.pem: no such file or directory", 1),
        (("--signing-alg", "HS1", "--signing-key", "x"), "unknown signature algorithm: HS1", 1),
        ((*SIGNING, "--claims-file", "files.json"), "the claim `files` is made from the bundle", 1),
        (("--token-file", "none"), "a file of the bundle server cannot be used", 2),
        (("--token-file", "empty"), "empty: the token is empty", 2),
        (("--tls-cert-file", "empty"), "--tls-cert-file and --tls-private-key-file go together", 2),
        (("--tls-cert-file", "empty", "--tls-private-key-file", "empty"), "a file of the bundle server cannot be used", 2),
        (("--addr", "nowhere"), "nowhere", 2),
    ],
)
def test_flags_that_cannot_be_followed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], message: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"claims.json": '{"scope": "write"}', "files.json": '{"files": []}', "empty": "", "bundles/.keep": ""})
    result = CliRunner().invoke(main, ["bundle", "serve", "bundles", *flags])
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
