"""Log lines, as text or JSON, written by a thread: a blocked stderr delays no decision.

Carries what its callers hand it; callers hand it codes, revisions, addresses and compiler messages, never
headers, tokens or bodies.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, TypeAlias

import orjson

from authz.telemetry.documents import json_bytes, printable

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warn", "error"]
Field: TypeAlias = str | int | float | bool | None

QUEUE_LINES: Final = 10_000
"""Lines that may wait for a slow stderr; what does not fit is dropped and counted."""

FLUSH_S: Final = 2.0
"""How long an exit waits for the last lines to be written."""

_ROOT: Final = "authz"
_LEVELS: Final[dict[LogLevel, int]] = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LEVEL_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}


def log(logger: logging.Logger, level: LogLevel, message: str, **fields: Field) -> None:
    """Log `message` (constant text, so that it can be searched for) with fields."""
    logger.log(_LEVELS[level], message, extra={"fields": fields})


def telling_of_death(logger: logging.Logger, message: str) -> Callable[[asyncio.Task[None]], None]:
    """Return what is to be called when a task that should have gone on is done: it logs what ended it."""

    def tell(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            logger.error(message, exc_info=task.exception())

    return tell


class JsonFormatter(logging.Formatter):
    """One JSON object a line; keys `time`, `level`, `msg`, `logger` as OPA names them, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _timestamp(record),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname.lower()),
            "msg": record.getMessage(),
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_bytes({name: _utf8(value) for name, value in line.items()}, default=str).decode()


class TextFormatter(logging.Formatter):
    """`time level message key=value …`; a value of several lines (a compiler's message) follows indented, none is left out."""

    def format(self, record: logging.LogRecord) -> str:
        given: dict[str, Field] = getattr(record, "fields", {})
        fields = {name: _utf8(value) for name, value in given.items() if value is not None}
        short = [f"{key}={_quoted(value)}" for key, value in fields.items() if not _is_block(value)]
        level = _LEVEL_NAMES.get(record.levelno, record.levelname.lower())
        lines = [" ".join([_timestamp(record), f"{level:<5}", record.getMessage(), *short])]
        lines += [f"  {line}" for value in fields.values() if _is_block(value) for line in str(value).splitlines()]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)


def _utf8(value: Field) -> Field:
    """Return a value that can be written: a lone surrogate (a file name's odd byte, a JSON escape) must not cost the line."""
    return printable(value) if isinstance(value, str) else value


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_block(value: Field) -> bool:
    return isinstance(value, str) and "\n" in value


def _quoted(value: Field) -> str:
    text = str(value)
    is_plain = text.isprintable() and text and not any(char in text for char in ' "=')
    return text if is_plain else orjson.dumps(text).decode()


class LogWriter(logging.Handler):
    """Formats on the caller's thread, writes on its own. INVARIANT: `emit` never blocks."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.dropped = 0
        self._is_closing = False
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def is_writing(self) -> bool:
        """Whether lines may still be written: true until `close` and the last line."""
        return self._thread.is_alive()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, for at most FLUSH_S."""
        self._is_closing = True
        with suppress(queue.Full):  # if it is full, the thread is not waiting to be woken
            self._lines.put_nowait(None)
        self._thread.join(FLUSH_S)
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # stderr is gone: nobody is left to be told
                self.dropped += 1
            if self._is_closing and self._lines.empty():
                return


def configure_logs(format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> LogWriter:
    """Send this process's log lines to `stream` (stderr). Libraries speak from warning upwards."""
    writer = LogWriter(stream or sys.stderr)
    writer.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(_LEVELS[level])
    return writer
