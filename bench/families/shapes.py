"""Rules of one test each: every shape of which is known what it costs in OPA, indexed there or not.

The last one asks for what cannot be looked up, so that the figures show what that costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from authz.rego import Document
from bench.families.case import HEADER, LAST, MISS, VARIETY, Case, Family, http_input

_Rule = Callable[[int], str]
_Ask = Callable[[int], Document]


def _shape(  # noqa: PLR0913 - what a shape is made of
    name: str, rule: _Rule, hit: _Ask, miss: Document, *, above: str = "", is_indexed: bool = True
) -> Family:
    """Return a family of which a rule is `rule` of its number; `above` are rules that it uses."""

    def build(rules: int) -> Case:
        source = HEADER + above + "".join(f"allow if {{ {rule(number)} }}\n" for number in range(rules))
        return Case(source, {LAST: [hit(rules - 1)] * VARIETY, MISS: [miss] * VARIETY})

    return Family(name, build, is_indexed)


def _path(path: str, method: str = "POST", **more: Document) -> dict[str, Document]:
    return http_input(method, path, **more)


_NO_PATH: Final = _path("/none/of/them")
_ROLES: Final = {"roles": ["reader", "writer", "owner"]}


def _roles(number: int) -> Document:
    return {"roles": ["reader", "writer", f"role-{number}"]}


def _at(number: int) -> Document:
    return _path(f"/p/{number}")


def _below(number: int) -> Document:
    return _path(f"/p/{number}/x")


def _network(number: int) -> str:
    return f"10.{number // 256}.{number % 256}"


COMPARISONS: Final = (
    _shape("path == c", lambda n: f'http.path == "/p/{n}"', _at, _NO_PATH),
    _shape("path == c, method == c", lambda n: f'http.method == "POST"; http.path == "/p/{n}"', _at, _NO_PATH),
    _shape("path in {…}", lambda n: f'http.path in {{"/p/{n}", "/q/{n}"}}', lambda n: _path(f"/q/{n}"), _NO_PATH),
    _shape("c in input.roles", lambda n: f'"role-{n}" in input.roles', _roles, _ROLES),
    _shape("input.roles[_] == c", lambda n: f'input.roles[_] == "role-{n}"', _roles, _ROLES),
    _shape("some r in roles; r == c", lambda n: f'some r in input.roles; r == "role-{n}"', _roles, _ROLES),
    _shape("[c, x] = ref", lambda n: f'["v{n}", x] = input.pair; x > 0', lambda n: {"pair": [f"v{n}", 1]}, {"pair": ["v", 1]}),
    _shape(
        "headers[input.h] == c",
        lambda n: f'http.headers[input.h] == "v{n}"',
        lambda n: {**_path("/", headers={"x-key": f"v{n}"}), "h": "x-key"},
        {**_path("/", headers={"x-key": "v"}), "h": "x-key"},
    ),
    _shape("req := input…; req.path == c", lambda n: f'req := input.attributes.request.http; req.path == "/p/{n}"', _at, _NO_PATH),
    _shape(
        "ref == {object}", lambda n: f'input.o == {{"a": {n}, "b": "x"}}', lambda n: {"o": {"a": n, "b": "x"}}, {"o": {"a": -1, "b": "x"}}
    ),
    _shape("not x != c", lambda n: f'not input.x != "v{n}"', lambda n: {"x": f"v{n}"}, {"x": "v"}),
    _shape("low <= n < high", lambda n: f"input.n >= {10 * n}; input.n < {10 * n + 10}", lambda n: {"n": 10 * n + 5}, {"n": -1}),
    _shape(
        "net.cidr_contains",
        lambda n: f'net.cidr_contains("{_network(n)}.0/24", input.ip)',
        lambda n: {"ip": f"{_network(n)}.7"},
        {"ip": "192.0.2.1"},
    ),
)

STRINGS: Final = (
    _shape("startswith", lambda n: f'startswith(http.path, "/p/{n}/")', _below, _NO_PATH),
    _shape("endswith", lambda n: f'endswith(http.path, "/{n}.txt")', lambda n: _path(f"/p/{n}.txt"), _NO_PATH),
    _shape(
        "any_prefix_match",
        lambda n: f'strings.any_prefix_match(http.path, ["/p/{n}/", "/q/{n}/"])',
        lambda n: _path(f"/q/{n}/x"),
        _NO_PATH,
    ),
    _shape("glob *", lambda n: f'glob.match("/p/{n}/*", ["/"], http.path)', _below, _NO_PATH),
    _shape("glob **", lambda n: f'glob.match("/p/{n}/**", ["/"], http.path)', lambda n: _path(f"/p/{n}/x/y"), _NO_PATH),
    _shape('split(path, "/")[2] == c', lambda n: f'split(http.path, "/")[2] == "p{n}"', lambda n: _path(f"/p/p{n}"), _NO_PATH),
    _shape("regex.match", lambda n: f"regex.match(`^/p/{n}/[a-z]+$`, http.path)", _below, _path("/p/x/1")),
    _shape(
        "regex.match, in the middle",
        lambda n: f"regex.match(`^/v1/users/[^/]+/orders/{n}$`, http.path)",
        lambda n: _path(f"/v1/users/al/orders/{n}"),
        _path("/v1/users/al/orders/x"),
    ),
    _shape(
        "regex.match, not anchored",
        lambda n: f"regex.match(`(foo|bar)-{n}-[a-z]`, http.path)",
        lambda n: _path(f"/v1/bar-{n}-q"),
        _path("/v1/users/foo-x-y"),
    ),
    _shape("contains", lambda n: f'contains(http.path, "/x{n}y")', lambda n: _path(f"/p/x{n}y/z"), _path("/p/xxx/y/z")),
    _shape("lower(x) == c", lambda n: f'lower(http.path) == "/p/{n}"', lambda n: _path(f"/P/{n}"), _NO_PATH),
    _shape(
        "object.get(…) == c",
        lambda n: f'object.get(http.headers, "x-key", "none") == "v{n}"',
        lambda n: _path("/", headers={"x-key": f"v{n}"}),
        _path("/", headers={}),
    ),
)

HELPERS: Final = (
    _shape("helper rule", lambda n: f'the_path == "/p/{n}"', _at, _NO_PATH, above="the_path := http.path\n"),
    _shape("helper function", lambda n: f'is_path("/p/{n}")', _at, _NO_PATH, above="is_path(path) if http.path == path\n"),
)


def _grants(rules: int) -> Case:
    source = HEADER + "allow if { some grant in data.grants; grant.method == http.method; grant.path == http.path }\n"
    data: dict[str, Any] = {"grants": [{"method": "POST", "path": f"/p/{number}"} for number in range(rules)]}
    return Case(source, {LAST: [_at(rules - 1)] * VARIETY, MISS: [_NO_PATH] * VARIETY}, data)


UNINDEXED: Final = _shape(
    "x == sprintf(…), not indexed",
    lambda n: f'http.path == sprintf("/p/%s/{n}", [input.user])',
    lambda n: {**_path(f"/p/al/{n}"), "user": "al"},
    {**_path("/p/al/x"), "user": "al"},
    is_indexed=False,
)

SHAPES: Final = (*COMPARISONS, *STRINGS, *HELPERS, Family("grants in data", _grants), UNINDEXED)
