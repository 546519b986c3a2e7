"""The cases of a parametrised test: those that have a value, and those that were tried and have none.

Knows values and names only; neither rules nor how a case was tried.
"""

from __future__ import annotations

from collections.abc import Iterable

from authz.rego.values import TRUE, Object, Value, json_key
from authz.testing.result import Case

Names = tuple[str, ...]


def cases_of(value: Value | None, tried: Iterable[Names]) -> tuple[Case, ...]:
    """Return the cases, sorted by name. `value` is what the test's rule made; `tried` are the names of all cases that began."""
    found = {json_key(key): value[key] for key in value} if isinstance(value, Object) else {}
    below: dict[str, set[Names]] = {name: set() for name in found}
    for names in tried:
        below.setdefault(names[0], set()).add(names[1:])
    return tuple(_case(name, found.get(name), below[name] - {()}) for name in sorted(below))


def _case(name: str, value: Value | None, tried: set[Names]) -> Case:
    if not tried and not (isinstance(value, Object) and value):
        return Case(name, value is TRUE)
    below = cases_of(value, tried)
    return Case(name, all(case.has_passed for case in below), below)


def names_of(keys: Value) -> Names:
    """Return the names of the case with these keys: strings as they are, other values as JSON."""
    assert isinstance(keys, tuple)
    return tuple(json_key(key) for key in keys)
