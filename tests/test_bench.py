"""The harness can fail: what the demo calls a mismatch, what a load counts, what a result file holds."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench_main
from bench import messages, subject
from bench.demo.__main__ import Tally
from bench.demo.report import Checked
from bench.demo.rows import REFUSED, Expectation, Row
from bench.lab.client import Request, Response
from bench.lab.load import LoadResult, encode
from bench.lab.process import ManagedProcess
from bench.lab.upstream import REPOSITORY, answer, request_size
from bench.lab.waiting import NotReadyError, wait_until
from bench.record import Figures, Origin, Record, read

OK = Response(200, (("x-a", "1"), ("x-a", "2")), json.dumps({"method": "GET", "path": "/", "headers": [["x-b", "3"]], "body": ""}))


@pytest.mark.parametrize(
    ("expected", "outcome", "mismatch"),
    [
        (Expectation(200), OK, None),
        (Expectation(403), OK, "got 200"),
        (Expectation(REFUSED), OK, "got 200"),
        (Expectation(REFUSED), REFUSED, None),
        (Expectation(200), REFUSED, f"got {REFUSED}"),
        (Expectation(200, headers={"x-a": "1,2", "x-c": None}), OK, None),
        (Expectation(200, headers={"x-a": None}), OK, "got response headers {'x-a': '1,2'}"),
        (Expectation(200, upstream={"x-b": "3", "x-a": None}), OK, None),
        (Expectation(200, upstream={"x-b": None}), OK, "the upstream saw {'x-b': '3'}"),
    ],
)
def test_an_expectation_names_what_is_different(expected: Expectation, outcome: Response | str, mismatch: str | None) -> None:
    assert expected.mismatch(outcome) == mismatch


def test_the_tally_counts_wrong_rows_and_requests_that_a_load_lost() -> None:
    tally = Tally()
    row = Row("any", None, Request(), Expectation(403))
    tally.rows("rows", [Checked(row, OK), Checked(row, Response(403, (), ""))])
    assert (tally.requests, tally.mismatches) == (2, 1)
    load = LoadResult(latencies=[0.1] * 5, failures=["connection lost: None"])
    load.statuses.update({200: 3, 403: 2})
    tally.load(load)
    assert (tally.requests, tally.mismatches) == (7, 4)


def test_percentiles_are_of_the_ordered_latencies() -> None:
    result = LoadResult(latencies=[number / 1000 for number in range(100, 0, -1)], seconds=2.0)
    assert [result.percentile_ms(percent) for percent in (0, 50, 99, 100)] == [1.0, 51.0, 100.0, 100.0]
    assert result.rate == 50.0


def test_the_upstream_takes_requests_in_any_pieces_and_says_what_it_saw() -> None:
    whole = encode(Request("POST", "/a?b=1", [("X-C", "d"), ("x-c", "e")], b"body", "h"))
    assert [request_size(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert request_size(whole + b"GET /") == len(whole)
    seen = json.loads(answer(whole).partition(b"\r\n\r\n")[2])
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/a?b=1", "body")
    assert [value for name, value in seen["headers"] if name == "x-c"] == ["d", "e"]


def test_a_condition_that_never_holds_is_named() -> None:
    with pytest.raises(NotReadyError, match="the sky falls: not so after 0 s"):
        wait_until(lambda: False, "the sky falls", timeout_s=0)


def test_a_child_and_what_it_forked_end_with_it(tmp_path: Path) -> None:
    forker = "import os, time; print(os.fork(), flush=True); time.sleep(600)"
    process = ManagedProcess("forker", [sys.executable, "-c", forker], tmp_path / "log")
    child = wait_until(lambda: max((int(line) for line in process.log().splitlines()), default=0), "it has forked")
    assert process.stop() == -signal.SIGTERM
    wait_until(lambda: not _is_alive(child), "its child is gone")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    child_log = tmp_path / "child.log"
    starter = (
        "import sys, time; from pathlib import Path; from bench.lab.process import ManagedProcess\n"
        f"child = ManagedProcess('child', [sys.executable, '-c', 'import time; time.sleep(600)'], Path({str(child_log)!r}))\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parent = ManagedProcess("parent", [sys.executable, "-c", starter], tmp_path / "log", {"PYTHONPATH": str(REPOSITORY)})
    child = wait_until(lambda: int(parent.log() or 0), "it has started its child")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not _is_alive(child), "its child is gone")


def _is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has waited for does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_realistic_request_is_of_the_size_that_the_figures_name() -> None:
    sizes = {len(payload) for payload in subject.requests(subject.allowed())}
    assert all(1300 < size < 1500 for size in sizes)
    assert 2000 < len(messages.realistic(subject.certified(subject.allowed())).encode()) < 3000


@pytest.mark.parametrize(("check", "reason"), [(subject.allowed(), "allowed"), (subject.denied(), "denied")])
def test_the_bench_measures_the_decisions_that_it_says(check: messages.Check, reason: str) -> None:
    snapshot = subject.snapshot()
    assert snapshot.cache is not None
    for payload in subject.requests(check):
        assert subject.decide(snapshot, payload).reason == reason


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = Record.of("micro", Origin(), {"stages": {"a": {"median_us": 2.0}}})
    path = record.write(tmp_path)
    assert read(path) == record
    assert path.name.endswith("-micro.json")
    assert record.commit.rstrip("+") in path.name


def test_a_record_tells_of_the_moment_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changing(*, is_quick: bool) -> Figures:
        monkeypatch.setattr(sys, "argv", ["bench", "changed-meanwhile"])
        return {"a": {"quick": float(is_quick)}}

    monkeypatch.setitem(bench_main.BENCHES, "stub", changing)
    assert bench_main.main(["--results", str(tmp_path), "stub"]) == 0
    (kept,) = tmp_path.iterdir()
    record = read(kept)
    assert record.figures == {"a": {"quick": 0.0}}
    assert "changed-meanwhile" not in record.command
