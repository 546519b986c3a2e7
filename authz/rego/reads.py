"""The read set: what a rule, and everything it refers to, can touch.

A pure walk over plans. Always a superset: a path stops at its first step that is not a
constant string.
"""

from __future__ import annotations

from collections.abc import Iterable

from authz.rego import plan as p
from authz.rego.artifact import ReadSet
from authz.rego.builtins import BUILTINS
from authz.rego.planner import Planned, used_groups, walk
from authz.rego.program import Path

Paths = set[tuple[str, ...]]


def read_sets(planned: Planned) -> dict[Path, ReadSet]:
    """Return the read set of every rule, those it uses included."""
    found: dict[Path, tuple[Paths, Paths, set[str]]] = {}
    for path in planned.order:
        plan = planned.plans[path]
        inputs, data, nondeterministic = _own(plan)
        for used in set(used_groups(plan, planned.program)):
            inputs |= found[used][0]
            data |= found[used][1]
            nondeterministic |= found[used][2]
        found[path] = (inputs, data, nondeterministic)
    return {path: ReadSet(minimal(inputs), minimal(data), tuple(sorted(names))) for path, (inputs, data, names) in found.items()}


def _own(plan: p.RulePlan) -> tuple[Paths, Paths, set[str]]:
    inputs: Paths = set()
    data: Paths = set()
    names: set[str] = set()
    for item in walk(plan):
        match item:
            case p.Input(_, path):
                inputs.add(prefix(path))
            case p.BaseData(_, path):
                data.add(prefix(path))
            case p.Document(_, path):
                data.add(path[1:])
            case p.CallBuiltin(_, name) if not BUILTINS[name].deterministic:
                names.add(name)
            case p.Modifier("function", path) if path[0] != "data":
                names.update(name for name in (".".join(path),) if not BUILTINS[name].deterministic)
    return inputs, data, names


def prefix(path: tuple[p.Atom, ...]) -> tuple[str, ...]:
    """Return the leading constant string steps."""
    steps: list[str] = []
    for step in path:
        if not (isinstance(step, p.Const) and isinstance(step.value, str)):
            break
        steps.append(step.value)
    return tuple(steps)


def merged(read_sets: Iterable[ReadSet]) -> ReadSet:
    """Return what any of the read sets covers."""
    sets = tuple(read_sets)
    names = {name for reads in sets for name in reads.nondeterministic}
    inputs = minimal(path for reads in sets for path in reads.input)
    return ReadSet(inputs, minimal(path for reads in sets for path in reads.data), tuple(sorted(names)))


def minimal(paths: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the paths without those that another one already covers, sorted."""
    kept: list[tuple[str, ...]] = []
    for path in sorted(paths):
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return tuple(kept)
