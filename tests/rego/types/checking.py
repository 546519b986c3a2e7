"""What the type checker says of rules in a package `t`, in the form in which the tests write it."""

from __future__ import annotations

from authz import rego

TYPE = "rego_type_error"


def findings(text: str, rego_version: int = 1) -> list[str]:
    """Return each finding as a message with its details below it; none if the rules compile. Only types may be wrong."""
    try:
        rego.compile({"p.rego": f"package t\n{text}"}, rego_version=rego_version)
    except rego.CompileError as error:
        if {diagnostic.code for diagnostic in error.diagnostics} != {TYPE}:
            raise
        return ["\n".join((diagnostic.message, *diagnostic.details)) for diagnostic in error.diagnostics]
    return []


def finding(text: str) -> str:
    """Return the only finding."""
    (only,) = findings(text)
    return only


def no_match(left: str, right: str) -> str:
    return f"match error\nleft  : {left}\nright : {right}"


def bad_arguments(name: str, have: str, want: str, problem: str = "invalid argument(s)") -> str:
    return f"{name}: {problem}\nhave: ({have})\nwant: ({want})"


def no_collection(ref: str, carets: int, have: str) -> str:
    return f"undefined ref: {ref}\n{ref}\n{'^' * carets}\nhave: {have}"


def no_member(ref: str, offset: int, have: str, want: str) -> str:
    pad = " " * offset
    return f"undefined ref: {ref}\n{ref}\n{pad}^\n{pad}{have}\n{pad}{want}"
