"""Iterations over base data and members of the input become rows, one an element, without code where cells say it all."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.rego.emit import emit
from authz.rego.tables import reader, walk

GRANTS = [{"role": f"r{number % 7}", "path": f"/p/{number}", "method": "GET"} for number in range(50)]


def entry(text: str, data: Any, rule: str = "allow") -> rego.EntryPoint:
    return rego.compile({"p.rego": "package t\n" + text}, data).entrypoint(f"t/{rule}")


def size(point: rego.EntryPoint) -> tuple[int, int]:
    """Return the number of rows and of those that run code."""
    return point.table.rows, point.table.residuals


@pytest.mark.parametrize(
    ("body", "data", "rows", "matching", "other"),
    [
        (
            "some g in data.grants; g.path == input.path; g.method == input.method",
            {"grants": GRANTS}, 50, {"path": "/p/7", "method": "GET"}, {"path": "/p/7", "method": "PUT"},
        ),
        (
            "some g in data.grants; g.role in input.roles; startswith(input.path, g.path)",
            {"grants": GRANTS}, 50, {"path": "/p/13/x", "roles": ["x", "r6"]}, {"path": "/p/13/x", "roles": ["r5"]},
        ),
        (
            'some g in data.grants; glob.match(g.path, ["/"], input.path)',
            {"grants": [{"path": f"/v{number}/*/x"} for number in range(40)]}, 40, {"path": "/v7/a/x"}, {"path": "/v7/a/b/x"},
        ),
        (
            "some n in data.nets; net.cidr_contains(n, input.ip)",
            {"nets": [f"10.{number}.0.0/16" for number in range(30)]}, 30, {"ip": "10.7.1.2"}, {"ip": "10.30.1.2"},
        ),
        (
            "some r in data.roles_of[input.user]; some g in data.grants_of[r]; g.path == input.path",
            {"roles_of": {"ann": ["a", "b"]}, "grants_of": {"a": [{"path": "/a"}], "b": [{"path": "/b"}], "c": [{"path": "/c"}]}},
            3, {"user": "ann", "path": "/b"}, {"user": "ann", "path": "/c"},
        ),
        (
            "some e in data.acl[input.user]; e.path == input.path",
            {"acl": {f"u{number}": [{"path": f"/{number}"}, {"path": "/all"}] for number in range(10)}},
            20, {"user": "u3", "path": "/3"}, {"user": "u3", "path": "/4"},
        ),
        (
            "some r in input.roles; data.levels[r] >= input.level",
            {"levels": {"low": 1, "mid": 5, "high": 9}}, 3, {"roles": ["mid"], "level": 5}, {"roles": ["low"], "level": 5},
        ),
        (
            "some name, level in data.levels; name == input.user; input.level < level",
            {"levels": {"a": 1, "b": 5, "1": 7}}, 3, {"user": "b", "level": 4}, {"user": "a", "level": 4},
        ),
        (
            "g := data.grants[_]; g.path == input.path; not g.disabled",
            {"grants": [{"path": "/a"}, {"path": "/b", "disabled": True}, {"path": "/c", "disabled": False}]},
            2, {"path": "/c"}, {"path": "/b"},
        ),
    ],
)  # fmt: skip
def test_an_iteration_becomes_rows_without_code(body: str, data: Any, rows: int, matching: Any, other: Any) -> None:
    point = entry(f"allow if {{ {body} }}", data)
    assert size(point) == (rows, 0)
    assert point.decide(matching) is True
    assert point.decide(other) is rego.UNDEFINED


def test_elements_that_lack_what_is_asked_for_make_no_row() -> None:
    data = {"grants": ["text", {"path": "/a"}, {}, {"path": 1}, ["/a"]]}
    point = entry("allow if { some g in data.grants; g.path == input.path }", data)
    assert size(point) == (2, 0)
    assert point.decide({"path": 1}) is True


def test_what_elements_give_is_the_value_of_their_rows() -> None:
    data = {"routes": [{"path": f"/{number}", "to": f"c{number}"} for number in range(9)]}
    value = entry('to := {"cluster": r.to} if { some r in data.routes; r.path == input.path }', data, "to")
    assert size(value) == (9, 0)
    assert value.decide({"path": "/4"}) == {"cluster": "c4"}
    members = entry("s contains r.to if { some r in data.routes; r.path == input.path }", data, "s")
    assert size(members) == (9, 0)
    assert members.decide({"path": "/4"}) == ["c4"]
    message = entry('s contains sprintf("%s %s", [r.to, input.m]) if { some r in data.routes; r.path == input.path }', data, "s")
    assert size(message) == (9, 9)
    assert message.decide({"path": "/4", "m": "x"}) == ["c4 x"]


def test_elements_that_give_different_values_conflict_as_without_tables() -> None:
    text = "to := r.to if { some r in data.routes; startswith(input.path, r.path) }"
    data = {"routes": [{"path": "/a", "to": 1}, {"path": "/a/b", "to": 2}, {"path": "/c", "to": 1}]}
    for optimize in (True, False):
        point = rego.compile({"p.rego": "package t\n" + text}, data, optimize=optimize).entrypoint("t/to")
        assert point.decide({"path": "/a/c"}) == 1
        with pytest.raises(rego.EvalError, match="must not produce multiple outputs"):
            point.decide({"path": "/a/b"})


def test_code_that_is_left_runs_for_the_elements_of_candidate_rows_only() -> None:
    boom = "boom contains 1\nboom_value := 1 if boom[1]\nboom_value := 2 if boom[1]\n"
    data = {"grants": [{"path": "/a", "is_odd": True}, {"path": "/b", "is_odd": False}]}
    point = entry(boom + "allow if { some g in data.grants; g.path == input.path; check(g) }\ncheck(g) if not g.is_odd\n"
                  "check(g) if { g.is_odd; boom_value == 1 }", data)  # fmt: skip
    assert point.decide({"path": "/b"}) is True
    with pytest.raises(rego.EvalError):
        point.decide({"path": "/a"})


def test_members_that_two_tests_meet_may_be_two_members_so_code_decides() -> None:
    point = entry('allow if { some r in input.roles; startswith(r, "a"); r != "ab" }\nallow if input.x == 1', None)
    assert point.decide({"roles": ["ab", "ac"]}) is True
    assert point.decide({"roles": ["ab", "b"]}) is rego.UNDEFINED
    joined = entry(
        "allow if { some r in input.roles; r in data.a; r in data.b }\nallow if input.x == 1", {"a": ["p", "q"], "b": ["q", "r"]}
    )
    assert joined.decide({"roles": ["q"]}) is True
    assert joined.decide({"roles": ["p", "r"]}) is rego.UNDEFINED


def test_a_number_finds_the_key_of_its_text_in_base_data_but_not_when_it_is_spelled_otherwise() -> None:
    data = {"acl": {"1": [{"path": "/a"}], "x": [{"path": "/b"}]}, "of": {"1": ["one"], "x": ["ex"]}}
    for optimize in (True, False):
        text = "package t\nallow if { some e in data.acl[input.user]; e.path == input.path }\n"
        text += 'names contains n if { some r in input.roles; some n in data.of[r]; n != "none" }'
        policy = rego.compile({"p.rego": text}, data, optimize=optimize)
        asked = [policy.entrypoint("t/allow").decide({"user": user, "path": "/a"}) for user in (1, "1", 1.0, 2)]
        assert asked == [True, True, rego.UNDEFINED, rego.UNDEFINED]
        assert policy.entrypoint("t/names").decide({"roles": [1, "x"]}) == ["ex", "one"]
        assert policy.entrypoint("t/names").decide({"roles": [1.0]}) == []


# What is looked into


@pytest.mark.parametrize(
    ("text", "rows", "matching", "other"),
    [
        ("p(x) if input.path == x\nallow if p(\"/a\")\nallow if p(\"/b\")", 2, {"path": "/b"}, {"path": "/c"}),
        ("path := input.r.path\nallow if path == \"/a\"\nallow if path == \"/b\"", 2, {"r": {"path": "/b"}}, {"r": {"path": "/c"}}),
        ("up(x) := upper(x)\nallow if up(input.p) == \"A\"\nallow if up(input.p) == \"B\"", 2, {"p": "b"}, {"p": "c"}),
        ("s contains \"a\" if input.x == 1\ns contains r if some r in input.roles\nallow if \"a\" in s\nallow if \"b\" in s",
         3, {"roles": ["b"]}, {"roles": ["c"]}),
        ("allow if \"a\" in {r | some r in input.roles}\nallow if \"b\" in [r | some r in input.roles]",
         2, {"roles": ["b"]}, {"roles": ["c"]}),
        ("allow if { every x in [1, 2] { input.n > x } }\nallow if input.z", 2, {"n": 3}, {"n": 2}),
        ("bad if input.x == 1\nbad if input.y == 2\nallow if not bad\nallow if input.z", 2, {"x": 2}, {"x": 1, "y": 3}),
        ("allow if [input.m, input.p] in [[\"GET\", \"/a\"], [\"PUT\", \"/b\"]]\nallow if input.z",
         3, {"m": "PUT", "p": "/b"}, {"m": "GET", "p": "/b"}),
        ("allow if input.pair = [\"a\", _]\nallow if input.pair = [\"b\", 1, _]", 2, {"pair": ["b", 1, 0]}, {"pair": ["b", 1]}),
        ("default ok := false\nok if input.x == 1\nallow if ok\nallow if input.z", 2, {"x": 1}, {"x": 2}),
    ],
)  # fmt: skip
def test_structure_is_seen_through(text: str, rows: int, matching: Any, other: Any) -> None:
    point = entry(text, None)
    assert size(point) == (rows, 0)
    assert point.decide(matching) is True
    assert point.decide(other) is rego.UNDEFINED


def test_the_definitions_of_a_function_are_a_table_of_their_own() -> None:
    text = "\n".join(f'level("r{number}") := {number}' for number in range(20)) + "\nallow if level(input.role) > 10"
    shown = emit("tables", {"p.rego": "package t\n" + text}, None)
    assert "table data.t.level: 20 rows, 1 columns, 1 spaces, 0 residuals" in shown
    point = entry(text, None)
    assert point.decide({"role": "r11"}) is True
    assert point.decide({"role": "r9"}) is rego.UNDEFINED


def test_an_iteration_that_no_index_would_tell_apart_stays_code() -> None:
    text = 'allow if { some w in data.words; sprintf("%s", [input.x]) == w }\nallow if input.y == 1'
    point = entry(text, {"words": [f"w{number}" for number in range(30)]})
    assert size(point) == (2, 1)
    assert point.decide({"x": "w7"}) is True


# Bounds


def test_more_data_than_tables_may_hold_is_iterated_by_code_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_TURNS", 40)
    text = 'allow if { some g in data.grants; g.path == input.path }\nallow if input.path == "/other"'
    shown = emit("tables", {"p.rego": "package t\n" + text}, {"grants": GRANTS})
    assert "table data.t.allow: 2 rows" in shown
    assert "note p.rego:2:1: too much to look into; code is left for iterations over data" in shown
    point = entry(text, {"grants": GRANTS})
    assert size(point) == (2, 1)
    assert [point.decide({"path": path}) for path in ("/p/49", "/other", "/x")] == [True, True, rego.UNDEFINED]


def test_a_body_that_splits_too_often_is_left_to_code_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_STEPS", 30)
    helpers = "\n".join(f"h{name} if input.x{name} == {number}" for name in range(4) for number in range(2))
    text = helpers + "\nallow if { h0; h1; h2; h3 }\nallow if input.y == 1"
    assert "code is left for rules that it uses" in emit("tables", {"p.rego": "package t\n" + text}, None)
    point = entry(text, None)
    assert point.decide({"x0": 1, "x1": 0, "x2": 1, "x3": 0}) is True
    assert point.decide({"x0": 1, "x1": 0, "x2": 1, "x3": 2}) is rego.UNDEFINED
