"""Rules that contradict each other: of different kinds at one place, inside another's value, or where a package is.

Owns what may stand together and how it is said. Looks at heads and packages only; groups nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from authz.rego import errors, nodes
from authz.rego.errors import Findings, Stage
from authz.rego.names import constant_path, constants, original_name, path_text, step_text
from authz.rego.nodes import Location, Rule, Scalar, Term
from authz.rego.values import Value, order_key

Place = tuple[Value, ...]
"""The path of a rule up to its first step that is not constant."""


def report_conflicts(modules: Iterable[nodes.Module], findings: Findings) -> None:
    """Report every place at which rules contradict each other."""
    modules = tuple(modules)
    places: dict[Place, list[Rule]] = defaultdict(list)
    for module in modules:
        for rule in module.rules:
            places[("data", *module.package, *constant_path(rule))].append(rule)
    inside = _inside(places)
    for place, rules in places.items():
        name = _name(place, rules[-1])
        if place in inside:
            _report(findings, rules[0], f"rule {name} conflicts with:{''.join(map(_line, inside[place]))}", _INSIDE_HELP)
        elif len({_kind(rule) for rule in rules}) > 1:
            _report(findings, rules[0], f"conflicting rules {name} found", _kinds_help(rules))
        elif len(defaults := [rule for rule in rules if rule.is_default]) > 1:
            where = ", ".join(_line_of(rule.location) for rule in defaults)
            _report(findings, defaults[1], f"multiple default rules {name} found at {where}", "a rule has one default")
    _report_packages(modules, places, findings)


_INSIDE_HELP = "the first one has a value of its own, so nothing can be defined inside it: rename one of them"


def _inside(places: dict[Place, list[Rule]]) -> dict[Place, list[tuple[Place, Rule]]]:
    """Return the rules inside the value of another, by the place of that one: one whose path is constant, or, for functions, any."""
    found: dict[Place, list[tuple[Place, Rule]]] = defaultdict(list)
    for place in sorted(places, key=order_key):
        for size in range(2, len(place)):
            outer = places.get(place[:size], ())
            if outer:
                is_closed = any(map(_is_constant, outer))
                inner = [rule for rule in places[place] if is_closed or rule.head.args is not None]
                found[place[:size]] += (
                    (place, rule) for rule in inner[:1] if not any(place[: len(other)] == other for other, _ in found[place[:size]])
                )
    return {place: rules for place, rules in found.items() if rules}


def _report_packages(modules: tuple[nodes.Module, ...], places: dict[Place, list[Rule]], findings: Findings) -> None:
    for module in modules:
        path = ("data", *module.package)
        for size in range(2, len(path) + 1):
            for rule in places.get(path[:size], ())[:1]:
                name, where = path_text((path[size - 1],)), _line_of(rule.location)
                message = f"package {path_text(path[1:])} conflicts with rule {name} defined at {where}"
                findings.report(errors.TYPE, message, module.package_location, help="rename one of them", check=Stage.CONFLICTS)


def _report(findings: Findings, rule: Rule, message: str, help: str) -> None:
    findings.report(errors.TYPE, message, rule.location, help=help, check=Stage.CONFLICTS)


def _is_constant(rule: Rule) -> bool:
    return all(isinstance(step, Scalar) for step in rule.head.ref.args)


def _kind(rule: Rule) -> tuple[bool, bool, int]:
    """Return what must be the same of all rules at a place."""
    return rule.head.key is None, _is_constant(rule), len(rule.head.args or ())


def _kinds_help(rules: list[Rule]) -> str:
    other = next(rule for rule in rules if _kind(rule) != _kind(rules[0]))
    return f"it is {_described(rules[0])} here and {_described(other)} at {other.location}"


def _described(rule: Rule) -> str:
    if rule.head.args is not None:
        return f"a function of {len(rule.head.args)} argument{'' if len(rule.head.args) == 1 else 's'}"
    if rule.head.key is not None:
        return "a set (`contains`)" if _is_constant(rule) else "an object of sets"
    return "a single value" if _is_constant(rule) else "an object with a key for each solution"


def _line(item: tuple[Place, Rule]) -> str:
    place, rule = item
    return f"\n  rule {_name(place, rule)} at {_line_of(rule.location)}"


def _name(place: Place, rule: Rule) -> str:
    """Return the path of a rule with its variable steps."""
    steps = rule.head.ref.args[len(constants(rule.head.ref.args)) :]
    return path_text(place) + "".join(map(_head_step, steps))


def _head_step(step: Term) -> str:
    if isinstance(step, Scalar):
        return step_text(step.value)
    return f"[{original_name(step.name)}]" if isinstance(step, nodes.Var) else "[…]"


def _line_of(location: Location) -> str:
    return f"{location.file}:{location.row}"
