"""Rules that stand where base data stands: the rule would hide the data, so tools refuse it, as OPA does for bundles.

Knows paths of rules and a document; neither how they were read nor what the rules decide.
"""

from __future__ import annotations

from collections.abc import Mapping

from authz.rego import errors
from authz.rego.errors import Diagnostic
from authz.rego.nodes import Location
from authz.rego.program import Path
from authz.rego.values import Object, Value


def data_conflicts(places: Mapping[Path, Location], data: Value) -> tuple[Diagnostic, ...]:
    """Return a finding for every rule, given by path and place, that is at, or below a plain value of, a path that the data sets."""
    return tuple(
        Diagnostic(
            errors.COMPILE,
            f"conflicting rule for data path {'/'.join(path[1:])} found",
            places[path],
            help="rename the rule, or move the data to a path of its own",
        )
        for path in sorted(places)
        if _is_set(data, path[1:])
    )


def _is_set(data: Value, path: Path) -> bool:
    for step in path:
        if not isinstance(data, Object):
            return True
        if step not in data:
            return False
        data = data[step]
    return True
