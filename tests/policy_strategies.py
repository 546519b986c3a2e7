"""Small policies and inputs that lean on every kind of table cell, as Hypothesis strategies.

Values are few and types are mixed on purpose, so that rules overlap, conflict, miss
and meet inputs of the wrong type. Knows Rego's text, not the compiler.
"""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st

ENTRYPOINT: Final = "gen/authz/decision"

_TEXTS: Final = ("", "a", "ab", "abc", "b", "A", "a/b", "spiffe://td/ns/a", "spiffe://td/ns/ab", "10.0.0.1", "é")
_NUMBERS: Final = (0, 1, 2, 1.0, 1.5, -1, 10**18)
_SCALARS: Final[tuple[Any, ...]] = (*_TEXTS, *_NUMBERS, True, False, None)
_COLUMNS: Final = ("input.a", "input.b.c", "input.path[0]", "input.path[1]", 'input["h"]["x-y"]', "input.l", "input")

texts = st.sampled_from(_TEXTS)
numbers = st.sampled_from(_NUMBERS)
scalars = st.sampled_from(_SCALARS)
columns = st.sampled_from(_COLUMNS)
constants = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from(("c", "k")), scalars, max_size=2),
)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _body(rows: list[str]) -> str:
    return "\n".join("\t" + row.replace("§", str(number)) for number, row in enumerate(rows))


literals = constants.map(_json)


def _set_of(members: list[Any]) -> str:
    return "{" + ", ".join(map(_json, members)) + "}" if members else "set()"


memberships = st.lists(scalars, max_size=4).flatmap(lambda members: st.sampled_from((_set_of(members), _json(members))))
comparisons = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
text_tests = st.sampled_from(("startswith", "endswith", "contains"))
type_tests = st.sampled_from(("is_string", "is_number", "is_boolean", "is_array", "is_object", "is_null"))
transforms = st.sampled_from(("lower", "upper", "trim_space", "count", "type_name"))

cells = st.one_of(
    st.builds("{} == {}".format, columns, literals),
    st.builds("{1} == {0}".format, columns, literals),
    st.builds("{} = {}".format, columns, literals),
    st.builds("{} {} {}".format, columns, comparisons, literals),
    st.builds("{} in {}".format, columns, memberships),
    st.builds("{}({}, {})".format, text_tests, columns, texts.map(_json)),
    st.builds("{}({})".format, type_tests, columns),
    st.builds("{}({}) == {}".format, transforms, columns, scalars.map(_json)),
    st.builds('glob.match({1}, ["/"], {0})'.format, columns, st.sampled_from(('"*"', '"a/*"', '"**"', '"{a,b}*"'))),
    st.builds("regex.match({1}, {0})".format, columns, st.sampled_from(('"^a"', '"b$"', '"^spiffe://td/.*$"', '"."'))),
    st.builds("net.cidr_contains({1}, {0})".format, columns, st.sampled_from(('"10.0.0.0/8"', '"0.0.0.0/0"'))),
    columns,
)
negated = cells.map("not {}".format)
# `§` becomes the row's number, so that no two rows of a body declare the same variable.
iterations = st.one_of(
    st.builds("some x§ in {}; x§ == {}".format, columns, scalars.map(_json)),
    st.builds("some i§; {}[i§] == {}".format, columns, scalars.map(_json)),
    st.builds("some g§ in data.grants; g§.who == {}; g§.what == {}".format, columns, columns),
    st.builds("data.roles[{}][_] == {}".format, columns, columns),
    st.builds("every x§ in {} {{ x§ == {} }}".format, columns, scalars.map(_json)),
    st.builds("y§ := {}; y§ == {}".format, columns, literals),
    st.builds("count([1 | some x§ in {}; x§ == {}]) {} 1".format, columns, scalars.map(_json), comparisons),
)
helpers = st.sampled_from(("helper_1", "helper_2", "not helper_1", "check({}, 1)".format("input.a"), "check(input.b.c, input.a)"))
tests = st.one_of(cells, cells, cells, negated, iterations, helpers)
bodies = st.lists(tests, min_size=1, max_size=4).map(_body)

outcomes = st.sampled_from(("true", "true", "true", "false", '{"allowed": true}', '{"allowed": false, "http_status": 403}', "1", "input.a"))


def _rule(outcome: str, body: str, others: list[tuple[str, str]]) -> str:
    chain = "".join(f" else := {value} if {{\n{tests}\n}}" for value, tests in others)
    return f"decision := {outcome} if {{\n{body}\n}}{chain}"


complete_rules = st.builds(_rule, outcomes, bodies, st.lists(st.tuples(outcomes, bodies), max_size=1))
same_value_rules = st.lists(bodies.map(lambda body: f"decision if {{\n{body}\n}}"), min_size=1, max_size=6)
mixed_rules = st.lists(complete_rules, min_size=1, max_size=4)
set_rules = st.lists(
    st.builds("decision contains {} if {{\n{}\n}}".format, st.sampled_from(("1", '"a"', "input.a")), bodies), min_size=1, max_size=4
)
object_rules = st.lists(
    st.builds("decision[{}] := {} if {{\n{}\n}}".format, st.sampled_from(('"a"', '"b"', "input.a")), outcomes, bodies),
    min_size=1,
    max_size=3,
)
defaults = st.sampled_from(("", "", "default decision := false", 'default decision := {"allowed": false}'))

PREAMBLE: Final = """package gen.authz

import rego.v1
"""


def _module(default: str, rules: list[str], helper_bodies: list[str]) -> str:
    first, second, third = helper_bodies
    tail = [f"helper_1 if {{\n{first}\n}}", f"helper_2 if {{\n{second}\n}}", f"helper_2 if {{\n{third}\n}}", "check(x, y) if x == y"]
    return "\n\n".join(part for part in (PREAMBLE, default, *rules, *tail) if part) + "\n"


_helper_bodies = st.lists(cells.map("\t{}".format), min_size=3, max_size=3)
policies = st.one_of(
    st.builds(_module, defaults, same_value_rules, _helper_bodies),
    st.builds(_module, defaults, mixed_rules, _helper_bodies),
    st.builds(_module, st.just(""), set_rules, _helper_bodies),
    # With a key that is not constant `decision` is one rule; only constant keys would make it a path above several.
    st.builds(_module, st.just(""), object_rules.map(lambda rules: [*rules, "decision[input.a] := true if input.b.c"]), _helper_bodies),
)

inputs: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "a": constants,
            "b": st.one_of(st.fixed_dictionaries({}, optional={"c": constants}), scalars),
            "path": st.one_of(st.lists(scalars, max_size=3), scalars),
            "h": st.one_of(st.fixed_dictionaries({}, optional={"x-y": constants}), scalars),
            "l": st.one_of(st.lists(scalars, max_size=3), constants),
        },
    ),
    scalars,
)

DATA: Final[dict[str, Any]] = {
    "grants": [
        {"who": "a", "what": "ab"},
        {"who": "a", "what": 1},
        {"who": 1, "what": "a"},
        {"who": True, "what": None},
        {"what": "b"},
        {"who": ["a"], "what": "a"},
    ],
    "roles": {"a": ["ab", 1], "ab": [], "b": [True, None], "1": ["a"]},
}
