"""Rego: modules and data in, decisions out.

The face of the language. `compile` makes a `Policy`; its entry points decide and its
`query` answers any question. Imports nothing of ours but error codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from authz.rego import compiler
from authz.rego.artifact import ReadSet, TableInfo
from authz.rego.errors import BuiltinError, CompileError, Diagnostic, EvalError, with_source_lines
from authz.rego.policy import UNDEFINED, EntryPoint, Policy, Undefined
from authz.rego.strict import refuse_unused
from authz.rego.types import Schemas
from authz.rego.values import FALSE, NULL, TRUE, Document, Object, Set, Value, from_json, to_json


def compile(  # noqa: PLR0913 - the options of one operation
    modules: Mapping[str, str],
    data: Document = None,
    rego_version: int | Mapping[str, int] = 1,
    strict: bool = False,
    optimize: bool = True,
    entrypoints: Iterable[str] = (),
    volatile: Iterable[str] = (),
    prints: bool = False,
    schemas: Schemas | None = None,
) -> Policy:
    """Compile modules (source text by file name) with base data.

    `rego_version` is 0 or 1, for all files or by file name. `strict` also refuses what is unused. `optimize=False` leaves
    out tables, folding and inlining; both must decide alike. Every path in `entrypoints` must be a rule. Base data at the
    paths in `volatile` (such as `acl/users`) can be replaced later (`Policy.with_data`); it is looked up, not made into tables.
    `prints`: `print` writes to the output of an evaluation that has one; a policy that prints has no tables then, which skip what
    cannot hold. `schemas`: what does not fit the JSON schemas that METADATA blocks name is refused, too. Raises CompileError.
    """
    source = replace(compiler.make_source(modules, data, rego_version, optimize, volatile), prints=prints, schemas=schemas)
    try:
        policy = _compiled(source, strict)
    except CompileError as error:
        raise with_source_lines(error, modules) from None
    for path in entrypoints:
        policy.entrypoint(path)
    return policy


def _compiled(source: compiler.Source, strict: bool) -> Policy:
    with compiler.collector_paused():
        planned = compiler.plan_source(source)
        source = replace(source, optimize=source.optimize and not compiler.does_print(planned))
        if strict:
            refuse_unused(compiler.parse_source(source))
        return Policy(source, compiler.generate(planned, source), planned)


__all__ = [
    "FALSE", "NULL", "TRUE", "UNDEFINED", "BuiltinError", "CompileError", "Diagnostic", "Document", "EntryPoint", "EvalError", "Object",
    "Policy", "ReadSet", "Schemas", "Set", "TableInfo", "Undefined", "Value", "compile", "from_json", "to_json",
]  # fmt: skip
