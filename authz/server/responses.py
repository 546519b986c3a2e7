"""Answers of the admin routes: JSON, times, and a policy source's state. Knows no route."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from authz.refresh.status import RefreshStatus
from authz.telemetry.documents import json_bytes


def json_response(document: Any, status: int = 200) -> web.Response:
    """Return a document as an answer."""
    return web.Response(body=json_bytes(document) + b"\n", status=status, content_type="application/json")


def source_document(status: RefreshStatus) -> dict[str, Any]:
    """Return a source's state as operators are told of it."""
    error = status.error
    document = {
        "name": status.name,
        "ok": status.is_ok,
        "revision": status.revision,
        "last_attempt": timestamp(status.attempted_ns),
        "last_success": timestamp(status.succeeded_ns),
        "last_activation": timestamp(status.activated_ns),
        "error": error and {"code": error.code, "message": error.message, "help": error.help, "since": timestamp(error.since_ns)},
    }
    if status.age_s is not None:
        document |= {"age_seconds": round(status.age_s, 3), "stale": status.is_stale}
    return document


def timestamp(unix_ns: int) -> str | None:
    """Return RFC 3339 text in UTC with milliseconds, None for never."""
    if not unix_ns:
        return None
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
