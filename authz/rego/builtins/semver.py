"""Semantic versions (semver.org 2.0.0), with a leading `v` and leading zeros let through as OPA does."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from authz.rego.builtins.registry import ANY, BOOLEAN, NUMBER, STRING, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import quote
from authz.rego.values import Value

_IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(
    rf"v?(?P<core>[0-9]{{1,19}}\.[0-9]{{1,19}}\.[0-9]{{1,19}})(?:-(?P<pre>{_IDENTIFIERS})?)?(?:\+(?:{_IDENTIFIERS})?)?\Z"
)
_MAX_LENGTH: Final = 1024
_MAX_PART: Final = 2**63 - 1


class _Version(NamedTuple):
    """What precedence depends on: `pre` is empty for a release, which is above all its pre-releases."""

    core: tuple[int, ...]
    pre: tuple[str, ...]

    def key(self) -> tuple[Any, ...]:
        """Return a key that sorts versions by precedence (semver.org, item 11)."""
        return (self.core, not self.pre, tuple(map(_identifier_key, self.pre)))


def _identifier_key(part: str) -> tuple[int, int, str]:
    """Sort numbers by value (here: length, then digits) and before words."""
    digits = part.lstrip("0")
    return (0, len(digits), digits) if part.isdecimal() else (1, 0, part)


def _parse(text: str) -> _Version | None:
    return _parsed(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _parsed(text: str) -> _Version | None:
    matched = _VERSION.match(text)
    if matched is None:
        return None
    core = tuple(map(int, matched["core"].split(".")))
    return _Version(core, tuple((matched["pre"] or "").split(".")) if matched["pre"] else ()) if max(core) <= _MAX_PART else None


@builtin("semver.compare", STRING, STRING, result=NUMBER)
def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 by precedence; build metadata does not count."""
    first, second = _required(1, left).key(), _required(2, right).key()
    return 0 if first == second else -1 if first < second else 1


def _required(position: int, text: str) -> _Version:
    version = _parse(text)
    if version is None:
        raise BuiltinError(f"semver.compare: operand {position}: string {quote(text)} is not a valid SemVer")
    return version


@builtin("semver.is_valid", ANY, result=BOOLEAN)
def is_valid(value: Value) -> bool:
    return isinstance(value, str) and _parse(value) is not None
