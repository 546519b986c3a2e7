"""Rules that match the path: globs with `*` within and `**` behind, and regular expressions, method by method."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, Union

from authz.rego import Document
from bench.families.case import HEADER, METHODS, Case, Family, Floor, asked, http_input

# By the last digit of a rule's number: six globs within, two with a tail, two regular expressions.
_BELOW: Final = (6, 7)
_REGION, _VERSION = 8, 9


def build(rules: int) -> Case:
    """Return a policy with one pattern a rule."""
    source = HEADER + "\n".join(_rule(number) for number in range(rules)) + "\n"
    return Case(source, asked(rules, _hit, lambda turn: _miss(rules, turn)), floor=lambda: _floor(rules))


def _rule(number: int) -> str:
    return f'allow if {{\n\thttp.method == "{METHODS[number // 10 % 4]}"\n\t{_test(number)}\n}}\n'


def _test(number: int) -> str:
    digit = number % 10
    if digit == _REGION:
        return f"regex.match(`^/v1/(eu|us)/stock/{number}$`, http.path)"
    if digit == _VERSION:
        return f"regex.match(`^/v1/items/{number}/versions/[0-9]+$`, http.path)"
    glob = f"/v1/teams/{number}/**" if digit in _BELOW else f"/v1/users/*/orders/{number}"
    return f'glob.match("{glob}", ["/"], http.path)'


def _hit(number: int, turn: int) -> Document:
    digit = number % 10
    if digit == _REGION:
        path = f"/v1/{('eu', 'us')[turn % 2]}/stock/{number}"
    elif digit == _VERSION:
        path = f"/v1/items/{number}/versions/{turn}"
    else:
        path = f"/v1/teams/{number}/members/{turn}/keys" if digit in _BELOW else f"/v1/users/user-{turn}/orders/{number}"
    return http_input(METHODS[number // 10 % 4], path)


def _miss(rules: int, turn: int) -> Document:
    """Ask for what goes wrong at the last segment, in the middle, at the first, or in the method only."""
    paths = (f"/v1/users/user-{turn}/orders/{rules + turn}", f"/v1/items/{turn}/versions/latest", f"/v2/teams/{turn}/members")
    if turn % 4 < len(paths):
        return http_input("GET", paths[turn % 4])
    return http_input("PATCH", f"/v1/users/user-{turn}/orders/0")


_Segment: TypeAlias = Union[str, re.Pattern[str]]
_ANY, _REST = "*", "**"
_REGIONS: Final = re.compile("eu|us")
_DIGITS: Final = re.compile("[0-9]+", re.ASCII)


@dataclass(slots=True)
class _Node:
    """A place in a trie of path segments. A segment's regular expression is compiled once, however many rules have it."""

    texts: dict[str, _Node] = field(default_factory=dict)
    tests: dict[re.Pattern[str], _Node] = field(default_factory=dict)
    anything: _Node | None = None
    takes_rest: bool = False
    is_end: bool = False

    def add(self, segments: list[_Segment]) -> None:
        if not segments:
            self.is_end = True
        elif segments[0] == _REST:
            self.takes_rest = True
        else:
            self._child(segments[0]).add(segments[1:])

    def _child(self, segment: _Segment) -> _Node:
        if not isinstance(segment, str):
            return self.tests.setdefault(segment, _Node())
        if segment != _ANY:
            return self.texts.setdefault(segment, _Node())
        self.anything = self.anything or _Node()
        return self.anything

    def matches(self, segments: list[str], at: int) -> bool:
        if at == len(segments):
            return self.is_end
        if self.takes_rest:
            return True
        segment = segments[at]
        child = self.texts.get(segment)
        if child is not None and child.matches(segments, at + 1):
            return True
        if self.anything is not None and self.anything.matches(segments, at + 1):
            return True
        return any(test.fullmatch(segment) and below.matches(segments, at + 1) for test, below in self.tests.items())


def _floor(rules: int) -> Floor:
    roots = {method: _Node() for method in METHODS}
    for number in range(rules):
        roots[METHODS[number // 10 % 4]].add(_segments(number))

    def allow(document: Any) -> bool:
        http = document["attributes"]["request"]["http"]
        root = roots.get(http["method"])
        return root is not None and root.matches(http["path"].split("/"), 0)

    return allow


def _segments(number: int) -> list[_Segment]:
    digit = number % 10
    if digit == _REGION:
        return ["", "v1", _REGIONS, "stock", str(number)]
    if digit == _VERSION:
        return ["", "v1", "items", str(number), "versions", _DIGITS]
    return ["", "v1", "teams", str(number), _REST] if digit in _BELOW else ["", "v1", "users", _ANY, "orders", str(number)]


PATH_PATTERNS: Final = Family("path patterns", build)
