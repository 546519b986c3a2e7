"""What can be wrong with a policy or its evaluation, and how it is shown.

Codes are OPA's. This module knows locations and texts, not the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass

from authz.errors import AuthzError
from authz.rego.nodes import NOWHERE, Location

PARSE = "rego_parse_error"
COMPILE = "rego_compile_error"
TYPE = "rego_type_error"
UNSAFE = "rego_unsafe_var_error"
RECURSION = "rego_recursion_error"

EVAL_CONFLICT = "eval_conflict_error"
EVAL_TYPE = "eval_type_error"
EVAL_BUILTIN = "eval_builtin_error"
EVAL_INTERNAL = "eval_internal_error"
EVAL_WITH_MERGE = "eval_with_merge_error"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: `file:row:col: message`, the source line with a caret, and the likely fix."""

    code: str
    message: str
    location: Location
    source_line: str | None = None
    help: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.location}: {self.code}: {self.message}"]
        if self.source_line is not None:
            number = f"{self.location.row:5d}"
            pad = "".join("\t" if char == "\t" else " " for char in self.source_line[: self.location.col - 1])
            lines.append(f"{number} | {self.source_line}")
            lines.append(f"      | {pad}{'^' * max(1, self.location.length)}")
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


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
        return f"{head}:\n" + "\n".join(str(diagnostic) for diagnostic in self.diagnostics)

    def __reduce__(self) -> tuple[type[CompileError], tuple[tuple[Diagnostic, ...]]]:
        return CompileError, (self.diagnostics,)


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
