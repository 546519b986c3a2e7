"""What can be wrong with a policy or its evaluation, and how it is shown.

Codes are OPA's. This module knows locations and texts, not the compiler.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from authz.errors import AuthzError
from authz.rego.nodes import NOWHERE, Location
from authz.rego.values import without_surrogates

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


class Stage(IntEnum):
    """The checks of the compiler, in OPA's order. Only the findings of the first one that fails are shown."""

    PARSING = 0
    ROOTS = 1  # nothing is called `input` or `data`
    IMPORTS = 2
    SCOPES = 3
    EXPRESSIONS = 4
    MODIFIERS = 5
    CONFLICTS = 6
    FUNCTIONS = 7
    SAFETY = 8
    RECURSION = 9
    TYPES = 10
    DEPRECATION = 11


_STAGES: Final = {
    PARSE: Stage.PARSING, COMPILE: Stage.SCOPES, TYPE: Stage.TYPES, UNSAFE: Stage.SAFETY, RECURSION: Stage.RECURSION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: `file:row:col: message`, details below it, the source line with a caret, and the likely fix.

    `check` is the check that found it, where that is not the usual one for the code. `unknown` is the name that it is about,
    if that is one that means nothing.
    """

    code: str
    message: str
    location: Location
    source_line: str | None = None
    help: str | None = None
    details: tuple[str, ...] = ()
    check: Stage | None = field(default=None, compare=False)
    unknown: str | None = field(default=None, compare=False)

    @property
    def stage(self) -> Stage:
        """The check that found it."""
        return _STAGES.get(self.code, Stage.TYPES) if self.check is None else self.check

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


def with_source_lines(error: CompileError, modules: Mapping[str, str]) -> CompileError:
    """Return the error with the source lines of its findings, from the texts of files."""
    return CompileError(tuple(_with_source_line(item, modules) for item in error.diagnostics))


def _with_source_line(diagnostic: Diagnostic, modules: Mapping[str, str]) -> Diagnostic:
    text = modules.get(diagnostic.location.file)
    if text is None or diagnostic.source_line is not None or not diagnostic.location.row:
        return diagnostic
    return replace(diagnostic, source_line=source_line(text, diagnostic.location.row))


def source_line(text: str, row: int) -> str:
    """Return a line of a module, counted as locations count: only a line feed ends one."""
    lines = text.split("\n")
    return lines[row - 1].rstrip("\r") if 0 < row <= len(lines) else ""


class Findings:
    """Collects the errors of independent parts, so that an author sees them all at once."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep the diagnostics of a CompileError that ends the block."""
        try:
            yield
        except CompileError as error:
            self._found.update(dict.fromkeys(error.diagnostics))

    def report(self, code: str, message: str, location: Location, *, help: str | None = None, check: Stage | None = None) -> None:
        """Keep a diagnostic."""
        self.add(Diagnostic(code, message, location, help=help, check=check))

    def add(self, diagnostic: Diagnostic) -> None:
        self._found[diagnostic] = None

    def check(self, last: Stage = Stage.DEPRECATION) -> None:
        """Raise what the first failing check up to `last` has found, by place."""
        stage = min((item.stage for item in self._found), default=None)
        if stage is not None and stage <= last:
            found = (item for item in self._found if item.stage is stage)
            by_place = sorted(found, key=lambda item: (item.location.file, item.location.row, item.location.col))
            raise CompileError(tuple(by_place[:MAX_DIAGNOSTICS]))


def compile_error(code: str, message: str, location: Location, *, help: str | None = None, check: Stage | None = None) -> CompileError:
    """Return a CompileError with one diagnostic."""
    return CompileError((Diagnostic(code, message, location, help=help, check=check),))


class EvalError(AuthzError):
    """An evaluation ended in an error: a conflict, or a built-in error under strict mode."""

    def __init__(self, code: str, message: str, location: Location = NOWHERE) -> None:
        super().__init__(without_surrogates(message))
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
