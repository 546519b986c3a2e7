"""`http.send` in the commands that evaluate: sent only to hosts that their flags allow, else it fails as ever."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.outbound.threaded import ThreadedUpstream, threaded_upstream
from tests.serving import write

TESTS = """package p_test

import data.p

test_ann if p.user("ann") == "ann"

test_bob if {
	name := "bob"
	found := p.user(name)
	found == "ann"
}

test_mocked if p.user("x") == "mock" with http.send as {"body": {"user": "mock"}}

test_cases[note] if {
	some note, name in {"one": "ann", "two": "eve"}
	p.user(name) == "ann"
}
"""


@pytest.fixture
def server() -> Iterator[ThreadedUpstream]:
    def answer(path: str) -> tuple[int, bytes]:
        return 200, json.dumps({"user": path.removeprefix("/")}).encode()

    with threaded_upstream(answer) as upstream:
        yield upstream


@pytest.fixture
def policies(tmp_path: Path, server: ThreadedUpstream) -> Path:
    send = f'http.send({{"method": "get", "url": sprintf("{server.url}/%s", [name])}}).body.user'
    return write(tmp_path / "policies", {"p.rego": f"package p\n\nuser(name) := {send}\n", "p_test.rego": TESTS})


def invoke(command: str, *args: str | Path) -> Result:
    return CliRunner().invoke(main, [command, *map(str, args)])


def allow(server: ThreadedUpstream) -> tuple[str, ...]:
    return ("--allow-host", server.address, "--allow-http")


def values(done: Result) -> list[Any]:
    assert done.exit_code == 0, done.output
    return [item["value"] for solution in json.loads(done.stdout).get("result", []) for item in solution["expressions"]]


def test_eval_sends_to_an_allowed_host(policies: Path, server: ThreadedUpstream) -> None:
    query = '[name | some name in ["ann", "bob", "ann"]; data.p.user(name) == name]'
    assert values(invoke("eval", "-d", policies, *allow(server), query)) == [["ann", "bob", "ann"]]
    assert server.asked == ["/ann", "/bob"]


def test_eval_sends_nothing_unless_told_to(policies: Path, server: ThreadedUpstream) -> None:
    assert values(invoke("eval", "-d", policies, 'data.p.user("ann")')) == []
    done = invoke("eval", "-d", policies, "--strict-builtin-errors", 'data.p.user("ann")')
    assert json.loads(done.stdout)["errors"][0]["message"] == "http.send: not enabled"
    assert server.asked == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--allow-host", "other.test", "--allow-http"), "http.send: unallowed host: {host}"),
        (("--allow-host", "127.0.0.1:*"), "http.send: 127.0.0.1: http is not allowed, only https: see http_send.allow_http"),
    ],
)
def test_eval_says_what_is_not_allowed(policies: Path, server: ThreadedUpstream, flags: tuple[str, ...], message: str) -> None:
    done = invoke("eval", "-d", policies, *flags, "--strict-builtin-errors", 'data.p.user("ann")')
    assert done.exit_code == 2
    assert json.loads(done.stdout)["errors"][0]["message"] == message.format(host=server.address)
    assert server.asked == []


def test_eval_ends_requests_without_end(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("eval", "-d", policies, *allow(server), "every i in numbers.range(1, 100) { data.p.user(format_int(i, 10)) }")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["errors"][0]["message"] == "http.send: more than 16 requests in one evaluation"


def test_a_query_has_one_time_however_often_it_asks(policies: Path, server: ThreadedUpstream) -> None:
    query = 'a := time.now_ns(); data.p.user("ann"); data.p.user(format_int(time.now_ns(), 10)) == format_int(a, 10)'
    assert values(invoke("eval", "-d", policies, *allow(server), query)) == [True, "ann", True]


@pytest.mark.parametrize("entry", ["*", "https://a.test", ""])
@pytest.mark.parametrize("command", [("eval", "1"), ("test", ".")])
def test_what_is_no_host_is_a_usage_error(command: tuple[str, str], entry: str) -> None:
    done = invoke(*command, "--allow-host", entry)
    assert done.exit_code == 2
    assert f"Invalid value for '--allow-host': `{entry}` is not a host: write `api.example.org`" in done.stderr


def outcomes(done: Result) -> dict[str, Any]:
    return {test["name"]: test.get("fail", test.get("error", False)) for test in json.loads(done.stdout)}


def test_tests_send_to_an_allowed_host_and_mocks_still_win(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("test", policies, *allow(server), "--format", "json", "--run", "ann|bob|mocked")
    assert outcomes(done) == {"test_ann": False, "test_bob": True, "test_mocked": False}
    assert server.asked == ["/ann", "/bob"]


def test_tests_send_nothing_unless_told_to(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("test", policies, "--format", "json", "--run", "ann|mocked")
    found = outcomes(done)
    assert found["test_ann"]["message"] == "http.send: not enabled"
    assert (found["test_mocked"], server.asked) == (False, [])


def test_a_failure_is_explained_with_the_answers_that_the_test_had(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("test", policies, *allow(server), "--run", "bob")
    assert 'found == "ann"' in done.stdout
    assert 'found: "bob"' in done.stdout.replace("=", ":") or 'found = "bob"' in done.stdout
    assert server.asked == ["/bob"]


@pytest.mark.parametrize("flags", [("--explain", "full"), ("--coverage",), ("--profile",), ("--explain", "notes", "--coverage")])
def test_what_is_told_of_a_query_asks_no_more_than_the_query(policies: Path, server: ThreadedUpstream, flags: tuple[str, ...]) -> None:
    assert values(invoke("eval", "-d", policies, *allow(server), *flags, 'data.p.user("ann")')) == ["ann"]
    assert server.asked == ["/ann"]


def test_what_is_told_of_tests_asks_no_more_than_they_do(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("test", policies, *allow(server), "--run", "ann|mocked", "--coverage")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"]
    assert server.asked == ["/ann"]


def test_a_time_limit_ends_a_query_that_waits(tmp_path: Path) -> None:
    opened = threading.Event()

    def answer(_: str) -> tuple[int, bytes]:
        opened.wait(30)
        return 200, b"{}"

    with threaded_upstream(answer) as server:
        try:
            query = f'http.send({{"method": "get", "url": "{server.url}/"}})'
            done = invoke("eval", *allow(server), "--timeout", "200ms", query)
        finally:
            opened.set()
    assert done.exit_code == 2
    assert json.loads(done.stdout)["errors"][0]["message"] == "caller cancelled query execution"


def test_each_run_of_a_test_asks_anew(policies: Path, server: ThreadedUpstream) -> None:
    assert invoke("test", policies, *allow(server), "--run", "ann", "--count", "3").exit_code == 0
    assert server.asked == ["/ann"] * 3


def test_cases_of_a_test_ask_each(policies: Path, server: ThreadedUpstream) -> None:
    done = invoke("test", policies, *allow(server), "--run", "cases", "--format", "json")
    assert done.exit_code == 2
    assert sorted(server.asked) == ["/ann", "/eve"]


def test_the_http_library_is_not_imported_unless_a_host_is_allowed() -> None:
    script = "import sys; from authz.cli.main import main; main(['eval', '1'], standalone_mode=False); sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
