"""What keeps a policy source from being a policy, every finding beside its source line. Compiles no further than to know that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from authz.bundle.directory import PolicySource
from authz.rego import compiler, errors, parser
from authz.rego.data_conflicts import data_conflicts
from authz.rego.errors import CompileError, Diagnostic, with_source_lines
from authz.rego.nodes import Location
from authz.rego.program import Path
from authz.rego.values import from_json

Places: TypeAlias = Mapping[Path, Location]


def explained(error: CompileError, source: PolicySource, rego_version: int) -> CompileError:
    """Return the error with the source lines of its findings; a parse error with those of the other files."""
    found = tuple(_parse_errors(source.modules, source.versions(rego_version))) if error.code == errors.PARSE else ()
    return with_source_lines(CompileError(found) if found else error, source.modules)


def _parse_errors(modules: Mapping[str, str], versions: Mapping[str, int]) -> Iterable[Diagnostic]:
    for name in sorted(modules):
        try:
            parser.parse_module(name, modules[name], versions[name])
        except CompileError as error:
            yield from error.diagnostics


def refuse_unparsable(source: PolicySource, rego_version: int) -> None:
    """Raise CompileError with the parse errors of every module; versions as for `rule_places`."""
    found = tuple(_parse_errors(source.modules, source.versions(rego_version)))
    if found:
        raise with_source_lines(CompileError(found), source.modules)


def rule_places(source: PolicySource, rego_version: int) -> Places:
    """Return where the rules of the modules are, if these compile; data has no part in that. Raises CompileError.

    `rego_version` is that of modules that do not say theirs.
    """
    made = compiler.make_source(source.modules, None, source.versions(rego_version), optimize=False)
    try:
        with compiler.collector_paused():
            groups = compiler.plan_source(replace(made, prints=True)).program.groups
    except CompileError as error:
        raise explained(error, source, rego_version) from None
    return {path: group.location for path, group in groups.items()}


def refuse_data_conflicts(source: PolicySource, rego_version: int) -> None:
    """Raise CompileError if a rule stands where the data document has a value. The modules must compile."""
    if source.data:
        refuse_conflicts_with(rule_places(source, rego_version), source)


def refuse_conflicts_with(places: Places, source: PolicySource) -> None:
    """Raise CompileError if one of the source's rules, which are at these places, stands where its data document has a value."""
    found = data_conflicts(places, from_json(source.data)) if source.data else ()
    if found:
        raise with_source_lines(CompileError(found), source.modules)
