"""Texts and JSON for people and machines beside us, whatever strings are in them. Knows no document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson


def json_bytes(document: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return a document as JSON. A lone surrogate (a byte that is no UTF-8, half an escape) is an escape, and costs no document."""
    try:
        return orjson.dumps(document, default=default)
    except TypeError:
        return json.dumps(document, default=default, separators=(",", ":")).encode()


def printable(text: object) -> str:
    """Return a text that can be encoded: what is not UTF-8 (in a file's name, in what a server says) is shown as an escape."""
    return str(text).encode("utf-8", "backslashreplace").decode()
