"""What can be wrong with a policy or its evaluation, and how it is shown.

Codes are OPA's. This module knows locations and texts, not the compiler.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from authz.errors import AuthzError
from authz.rego.nodes import NOWHERE, Location

MAX_DIAGNOSTICS: Final = 10
"""Findings that are shown at once, as OPA does; an author mends these first."""

PARSE = "rego_parse_error"
COMPILE = "rego_compile_error"
TYPE = "rego_type_error"
UNSAFE = "rego_unsafe_var_error"
RECURSION = "rego_recursion_error"

EVAL_CONFLICT = "eval_conflict_error"
EVAL_TYPE = "eval_type_error"
EVAL_BUILTIN = "eval_builtin_error"
EVAL_INTERNAL = "eval_internal_error"
EVAL_CANCEL = "eval_cancel_error"

_SHOWN_WIDTH = 160  # columns of a long line of source


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: `file:row:col: message`, details below it, the source line with a caret, and the likely fix."""

    code: str
    message: str
    location: Location
    source_line: str | None = None
    help: str | None = None
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return what is shown: place and message, the details, the source with a caret below, the fix."""
        where = f"{self.location}: " if self.location.row else ""
        lines = [f"{where}{self.code}: {self.message}", *(f"\t{detail}" for detail in self.details)]
        if self.source_line is not None:
            lines += self._quoted(self.source_line)
        if self.help:
            lines.append(f"help: {self.help}")
        return lines

    def _quoted(self, source: str) -> list[str]:
        """Return the part of a line of source around the place, and the caret; safe to print on a terminal."""
        place = self.location.col - 1
        start = 0 if len(source) <= _SHOWN_WIDTH else max(0, min(place - _SHOWN_WIDTH // 2, len(source) - _SHOWN_WIDTH))
        shown = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in source[start : start + _SHOWN_WIDTH])
        pad = "".join("\t" if char == "\t" else " " for char in shown[: place - start])
        carets = "^" * max(1, min(self.location.length, len(shown) - len(pad)))
        return [f"{self.location.row:5d} | {shown}", f"      | {pad}{carets}"]


class CompileError(AuthzError):
    """A policy does not compile. `code`, `message` and `location` are those of the first diagnostic."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0]
        super().__init__(first.message, help=first.help)
        self.code = first.code
        self.location = first.location
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        head = "1 error occurred" if len(self.diagnostics) == 1 else f"{len(self.diagnostics)} errors occurred"
        lines = [head + ":"]
        for diagnostic, following in itertools.zip_longest(self.diagnostics, self.diagnostics[1:]):
            shown = diagnostic.lines()
            is_said_again = following is not None and diagnostic.help is not None and diagnostic.help == following.help
            lines += shown[:-1] if is_said_again else shown
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type[CompileError], tuple[tuple[Diagnostic, ...]]]:
        return CompileError, (self.diagnostics,)


class Findings:
    """Collects the errors of independent parts, so that an author sees them all at once."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep the diagnostics of a CompileError that ends the block."""
        try:
            yield
        except CompileError as error:
            self.diagnostics.extend(item for item in error.diagnostics if item not in self.diagnostics)

    def check(self) -> None:
        """Raise the first findings, by place, if there are any."""
        if self.diagnostics:
            by_place = sorted(self.diagnostics, key=lambda item: (item.location.file, item.location.row, item.location.col))
            raise CompileError(tuple(by_place[:MAX_DIAGNOSTICS]))


def compile_error(code: str, message: str, location: Location, *, help: str | None = None) -> CompileError:
    """Return a CompileError with one diagnostic."""
    return CompileError((Diagnostic(code, message, location, help=help),))


class EvalError(AuthzError):
    """An evaluation ended in an error: a conflict, or a built-in error under strict mode."""

    def __init__(self, code: str, message: str, location: Location = NOWHERE) -> None:
        super().__init__(message)
        self.code = code
        self.location = location

    def __str__(self) -> str:
        where = f"{self.location.file}:{self.location.row}: " if self.location.row else ""
        return f"{where}{self.code}: {self.message}"


class BuiltinError(Exception):
    """A built-in failed. Undefined unless the evaluation is strict; `code` is eval_type_error or eval_builtin_error."""

    def __init__(self, message: str, code: str = EVAL_BUILTIN) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
