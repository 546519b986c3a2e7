from __future__ import annotations

import io
import json
import logging
import os
import select
from collections.abc import Iterator

import pytest

from authz.telemetry import logs
from authz.telemetry.logs import JsonFormatter, LogFormat, LogWriter, TextFormatter, configure_logs, log

logger = logging.getLogger("authz.tests")


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("authz")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])


def written(format: LogFormat, **fields: str | int | None) -> str:
    stream = io.StringIO()
    writer = configure_logs(format, "info", stream)
    log(logger, "warn", "policy not activated", **fields)
    log(logger, "debug", "not said")
    writer.close()
    return stream.getvalue()


def test_a_json_line_has_opas_keys_and_the_fields() -> None:
    line = json.loads(written("json", code="policy_compile", count=3, help=None))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warn",
        "msg": "policy not activated",
        "logger": "authz.tests",
        "code": "policy_compile",
        "count": 3,
        "help": None,
    }


def test_a_text_line_is_one_line_and_a_report_follows_indented() -> None:
    first, *rest = written("text", code="policy_compile", help=None, error="a.rego:1:1: bad\n  1 | x").splitlines()
    assert first.endswith(" warn  policy not activated code=policy_compile")
    assert rest == ["  a.rego:1:1: bad", "    1 | x"]


@pytest.mark.parametrize("value", ["two words", 'a "quote"', "a=b", "tab\there", "\x1b[31mred", ""])
def test_a_field_cannot_forge_another_or_touch_the_terminal(value: str) -> None:
    line = written("text", name=value)
    assert line.isprintable() or line.rstrip("\n").isprintable()
    assert json.loads(line.rstrip("\n").partition("name=")[2]) == value


def test_a_traceback_is_kept_in_both_formats() -> None:
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError as error:
        record = logger.makeRecord("authz", logging.ERROR, "f", 1, "failed", (), (type(error), error, error.__traceback__))
    assert "ZeroDivisionError: oops" in TextFormatter().format(record)
    assert "ZeroDivisionError: oops" in json.loads(JsonFormatter().format(record))["traceback"]


def test_a_stream_that_nobody_reads_drops_lines_and_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 5)
    monkeypatch.setattr(logs, "FLUSH_S", 0.0)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        writer = LogWriter(stream)
        record = logger.makeRecord("authz", logging.ERROR, "f", 1, "x" * 200_000, (), None)
        for _ in range(20):
            writer.emit(record)
        assert writer.dropped >= 20 - 5 - 1
        writer.close()  # does not wait for the reader
        while writer.is_writing:  # it may end at any moment, and then nothing more comes to read
            if select.select([reading], [], [], 0.01)[0]:
                os.read(reading, 2**16)


def test_a_stream_that_is_closed_is_no_reason_to_fail() -> None:
    stream = io.StringIO()
    writer = LogWriter(stream)
    stream.close()
    writer.emit(logger.makeRecord("authz", logging.ERROR, "f", 1, "hello", (), None))
    writer.close()
    assert writer.dropped == 1


@pytest.mark.parametrize("format", ["text", "json"])
def test_half_a_surrogate_pair_costs_neither_the_line_nor_its_caller(format: LogFormat) -> None:
    line = written(format, source="policies/\udcff", error="two\nlines \ud800")
    assert "policies/" in line
    assert "udcff" in line
    assert "ud800" in line
