"""Decision tables are real: their sizes, which code a request runs, and what it can touch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from authz import rego
from authz.rego.emit import emit
from authz.rego.tables import small
from authz.rego.tables.looking import MAX_FORKS
from authz.rego.tables.rows import MAX_CELLS
from authz.rego.tables.spaces import MAX_DIMENSIONS
from tests.rego.oracle_policies import make_case, make_input


@pytest.fixture(autouse=True, params=["trees", "spaces"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test here is one of tables of few rows, and of the same ones filed as large tables are."""
    if request.param == "spaces":
        monkeypatch.setattr(small, "MAX_ROWS", 0)
    return str(request.param)


BOOM = "boom contains 1\nboom_value := 1 if boom[1]\nboom_value := 2 if boom[1]\n"
"""A rule that conflicts whenever it is asked: a residual that uses it shows that it ran."""


def policy(text: str, data: Any = None, **options: Any) -> rego.Policy:
    return rego.compile({"p.rego": "package t\n" + text}, data, **options)


def entry(text: str, rule: str = "allow", data: Any = None) -> rego.EntryPoint:
    return policy(text, data).entrypoint(f"t/{rule}")


def size(point: rego.EntryPoint) -> tuple[int, int, int]:
    return point.table.rows, point.table.columns, point.table.residuals


def kinds(text: str, data: Any = None) -> set[str]:
    """Return the kinds of test that a policy's tables index."""
    lines = emit("tables", {"p.rego": "package t\n" + text}, data).split("\n")
    return {line.rpartition(": ")[2] for line in lines if line.startswith("  column ")}


# Shapes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('allow if input.path == "/a"\nallow if input.path == "/b"', (2, 1, 0)),
        ('allow if { input.path == "/a"; input.method == "GET" }\nallow if { input.path == "/b"; input.method == "GET" }', (2, 2, 0)),
        ('allow if input.path in {"/a", "/b"}\nallow if input.path in ["/c"]', (2, 1, 0)),
        ('allow if "admin" in input.roles\nallow if input.roles[_] == "root"', (2, 1, 0)),
        ('allow if { some r in input.roles; r == "a" }\nallow if { some r in input.roles; r == "b" }', (2, 1, 0)),
        ('allow if startswith(input.path, "/a/")\nallow if startswith(input.path, "/b/")', (2, 1, 0)),
        ('allow if input.path != "/a"\nallow if not input.method == "GET"', (2, 2, 0)),
        ("allow if input.x\nallow if not input.y", (2, 2, 0)),
        ('allow if lower(input.path) == "/a"\nallow if split(input.path, "/")[1] == "b"', (2, 2, 0)),
        ('allow if object.get(input.headers, "x", "none") == "1"\nallow if input.headers.y == "2"', (2, 2, 0)),
        ('allow if count(input.roles) > 1\nallow if input.path == "/b"', (2, 2, 0)),
        (
            'allow if { input.path == "/a"; endswith(input.host, ".x") }\nallow if { input.path == "/b"; endswith(input.host, ".y") }',
            (2, 2, 0),
        ),
        ('allow if { input.path == "/a"; sprintf("%s", [input.host]) == "x" }\nallow if input.path == "/b"', (2, 1, 1)),
        ('allow if input.path == "/a"', (0, 0, 0)),
        ("allow if true", (0, 0, 0)),
    ],
)
def test_a_policy_of_each_shape_becomes_a_table(text: str, expected: tuple[int, int, int]) -> None:
    assert size(entry(text)) == expected
    assert size(policy(text, optimize=False).entrypoint("t/allow")) == (0, 0, 0)


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ('input.p == "§"', "equal"),
        ('input.p in {"§", "x"}', "equal"),
        ('input.p != "§"', "class"),
        ('not input.p == "§"', "class"),
        ('startswith(input.p, "§")', "prefix"),
        ('strings.any_prefix_match(input.p, {"§", "x"})', "prefix many"),
        ('endswith(input.p, "§")', "suffix"),
        ('strings.any_suffix_match(input.p, "§")', "suffix many"),
        ('contains(input.p, "§")', "contains"),
        ('glob.match("/§/*", ["/"], input.p)', "glob /"),
        ('glob.match("§*", null, input.p)', "glob"),
        ('regex.match("^/§/", input.p)', "regex"),
        ("input.p > §", "between"),
        ("§ >= input.p", "between"),
        ('net.cidr_contains("10.§.0.0/16", input.p)', "network"),
        ('"§" in input.p', "member"),
        ('input.p[_] == "§"', "member"),
        ('some x in input.p; x == "§"', "member"),
        ('input.p.a[input.k] == "§"', "equal"),
        ('data.map[input.p] == "§"', "equal"),
        ("count(input.p) == §", "equal"),
        ('input.p = ["§", _]', "equal"),
        ('[input.p, input.q] == ["§", "x"]', "equal"),
        ('type_name(input.p) == "§"', "equal"),
    ],
)
def test_each_kind_of_test_gets_its_index(test: str, kind: str) -> None:
    rules = "\n".join(f"allow if {{ {test.replace('§', str(number))} }}" for number in range(3))
    data = {"map": {"a": "1"}}
    assert kind in kinds(rules, data)
    point = entry(rules, data=data)
    assert (point.table.rows, point.table.residuals) == (3, 0)


def test_aliases_and_imports_are_the_input_they_stand_for() -> None:
    text = 'import input.attributes.request.http as http\nallow if { h := http; h.path == "/a" }\nallow if http.path == "/b"'
    point = entry(text)
    assert size(point) == (2, 1, 0)
    assert point.reads.input == (("attributes", "request", "http"),)


def test_base_data_is_folded_into_cells() -> None:
    text = "allow if input.role == data.admin\nallow if input.role in data.team.names\nallow if input.role == data.missing"
    point = entry(text, data={"admin": "root", "team": {"names": ["a", "b"]}})
    assert size(point) == (2, 1, 0)
    assert [point.decide({"role": role}) for role in ("root", "b", "c")] == [True, True, rego.UNDEFINED]


def test_base_data_that_some_with_replaces_is_not_folded() -> None:
    text = 'allow if input.role == data.admin\nallow if input.role == "b"\nother if allow with data.admin as "c"'
    both = policy(text, {"admin": "root"})
    assert both.entrypoint("t/allow").decide({"role": "root"}) is True
    assert both.entrypoint("t/other").decide({"role": "c"}) is True
    assert both.entrypoint("t/other").decide({"role": "root"}) is rego.UNDEFINED


# Helpers


@pytest.mark.parametrize(
    "helper",
    [
        'is_get if input.method == "GET"',
        'is_get := input.method == "GET"',
        'default is_get := false\nis_get if input.method == "GET"',
        'is_get if is_it\nis_it if method == "GET"\nmethod := input.method'.replace("method ==", "input.method =="),
    ],
)
def test_tests_are_seen_through_helper_rules(helper: str) -> None:
    point = entry(helper + '\nallow if { is_get; input.path == "/a" }\nallow if { is_get; input.path == "/b" }')
    assert size(point) == (2, 2, 0)
    assert point.decide({"method": "GET", "path": "/b"}) is True
    assert point.decide({"method": "PUT", "path": "/b"}) is rego.UNDEFINED


def test_a_helper_with_several_bodies_becomes_several_rows() -> None:
    helper = 'safe if input.method == "GET"\nsafe if input.method == "HEAD"\n'
    text = helper + 'allow if { safe; input.path == "/a" }\nallow if { safe; input.path == "/b" }'
    assert size(entry(text)) == (4, 2, 0)


def test_a_helper_with_too_many_bodies_stays_code_and_decides_alike() -> None:
    bodies = "\n".join(f'safe if input.method == "M{number}"' for number in range(MAX_FORKS + 1))
    text = bodies + '\nallow if { safe; input.path == "/a" }\nallow if { safe; input.path == "/b" }'
    point = entry(text)
    assert size(point) == (2, 1, 2)
    assert point.decide({"method": f"M{MAX_FORKS}", "path": "/b"}) is True
    assert point.decide({"method": "M", "path": "/b"}) is rego.UNDEFINED


def test_combinations_of_helpers_beyond_the_bound_stay_code_and_decide_alike() -> None:
    helpers = "\n".join(f'h{name} if input.x{name} == "{number}"' for name in range(4) for number in range(4))
    text = helpers + '\nallow if { h0; h1; h2; h3; input.path == "/a" }\nallow if input.path == "/b"'
    point = entry(text)
    assert point.table.rows == MAX_FORKS + 1
    assert point.table.residuals == MAX_FORKS
    assert point.decide({"path": "/a", "x0": "3", "x1": "2", "x2": "1", "x3": "0"}) is True
    assert point.decide({"path": "/a", "x0": "3", "x1": "2", "x2": "1", "x3": "9"}) is rego.UNDEFINED


def test_a_boolean_rule_of_its_own_keeps_its_false_rows() -> None:
    point = entry("v := input.a == 1 if input.x\nv := input.b == 2 if input.y", "v")
    assert point.decide({"a": 1, "x": 1, "b": 2, "y": 1}) is True
    assert point.decide({"a": 0, "x": 1}) is False
    with pytest.raises(rego.EvalError):
        point.decide({"a": 0, "x": 1, "b": 2, "y": 1})


def test_a_helper_that_a_with_replaces_is_not_looked_into() -> None:
    text = 'h if input.m == "GET"\nallow if { h; input.p == "/a" }\nallow if { h; input.p == "/b" }\nother if allow with data.t.h as true'
    both = policy(text)
    assert both.entrypoint("t/other").decide({"p": "/b"}) is True
    assert both.entrypoint("t/allow").decide({"p": "/b"}) is rego.UNDEFINED
    assert both.query("data.t.allow with data.t.h as true", input={"p": "/a"}) == [{}]


# Which code runs


@pytest.mark.parametrize(
    ("test", "matching", "other"),
    [
        ('input.path == "/a"', {"path": "/a"}, {"path": "/b"}),
        ('input.path in {"/a", "/c"}', {"path": "/c"}, {"path": "/b"}),
        ('input.path != "/b"', {"path": "/a"}, {"path": "/b"}),
        ('input.path != "/b"', {"path": "/a"}, {}),
        ('not input.path == "/b"', {}, {"path": "/b"}),
        ('not input.path in {"/b"}', {"path": "/a"}, {"path": "/b"}),
        ('startswith(input.path, "/a")', {"path": "/a/b"}, {"path": "/"}),
        ('startswith(input.path, "/a")', {"path": "/a"}, {"path": 1}),
        ('"r" in input.roles', {"roles": ["q", "r"]}, {"roles": "r"}),
        ('"r" in input.roles', {"roles": {"k": "r"}}, {"roles": {"r": "k"}}),
        ("input.flag", {"flag": 0}, {"flag": False}),
        ("not input.flag", {"flag": False}, {"flag": True}),
        ('lower(input.path) == "/a"', {"path": "/A"}, {"path": "/b"}),
        ('input.list[0] == "x"', {"list": ["x"]}, {"list": ["y", "x"]}),
    ],
)
def test_a_request_runs_the_code_of_its_candidate_rows_only(test: str, matching: Any, other: Any) -> None:
    point = entry(f'{BOOM}allow if {{ {test}; boom_value == 1 }}\nallow if input.never == "x"')
    assert point.table.rows == 2
    assert point.decide(other) is rego.UNDEFINED
    with pytest.raises(rego.EvalError):
        point.decide(matching)


def test_a_decided_request_does_not_run_later_code_but_earlier_code_keeps_its_errors() -> None:
    first = entry(f'{BOOM}allow if input.path == "/a"\nallow if {{ input.method == "GET"; boom_value == 1 }}')
    assert first.decide({"path": "/a", "method": "GET"}) is True
    last = entry(f'{BOOM}allow if {{ input.method == "GET"; boom_value == 1 }}\nallow if input.path == "/a"')
    assert last.decide({"path": "/a", "method": "PUT"}) is True
    with pytest.raises(rego.EvalError):
        last.decide({"path": "/a", "method": "GET"})


def test_partial_sets_and_objects_run_the_code_of_candidate_rows_only() -> None:
    text = (
        BOOM
        + 's contains boom_value if input.k == "a"\ns contains 1 if input.k == "b"\n'
        + 'o[input.k] := boom_value if input.k == "a"\no.x := 1 if input.k == "b"'
    )
    both = policy(text)
    assert both.entrypoint("t/s").decide({"k": "b"}) == [1]
    assert both.entrypoint("t/o").decide({"k": "b"}) == {"x": 1}
    for rule in ("s", "o"):
        assert both.entrypoint(f"t/{rule}").table.rows == 2
        with pytest.raises(rego.EvalError):
            both.entrypoint(f"t/{rule}").decide({"k": "a"})


def test_an_else_chain_is_a_candidate_by_any_of_its_bodies_and_runs_once() -> None:
    text = "v := 1 if { input.a == 1; input.xs[_] > 1 } else := 2 if input.b == 1\nv := 3 if input.c == 1"
    point = entry(text, "v")
    assert size(point) == (3, 3, 1)
    assert point.decide({"a": 1, "b": 1, "xs": [2]}) == 1
    assert point.decide({"a": 1, "b": 1, "xs": [0]}) == 2
    with pytest.raises(rego.EvalError):
        point.decide({"a": 1, "xs": [2], "c": 1})


LONG = "count([1 | some x in numbers.range(1, 2000); some y in numbers.range(1, 2000)]) > 0"
"""What is charged more steps than an evaluation has."""


def test_code_that_is_charged_runs_before_that_of_later_rows_and_after_rows_that_decide() -> None:
    text = f'allow if {{ input.a == 1; {LONG} }}\nallow if {{ input.b == 1; sprintf("%v", [input.c]) == "1" }}\nallow if {{ input.d == 1 }}'
    point = entry(text)
    assert size(point) == (3, 3, 2)
    assert point.decide({"b": 1, "c": 1}) is True
    assert point.decide({"b": 1, "c": 2}) is rego.UNDEFINED
    assert point.decide({"a": 1, "b": 1, "c": 1, "d": 1}) is True
    for document in ({"a": 1}, {"a": 1, "b": 1, "c": 1}):
        with pytest.raises(rego.EvalError, match="too many steps"):
            point.decide(document)


def test_the_first_body_of_a_chain_with_a_value_decides_and_no_later_one_runs() -> None:
    text = (
        f"v := lower(input.x) if input.a in {{1, 2}} else := 2 if {{ input.b == 1 }} else := upper(input.x) if {{ input.a == 3; {LONG} }}"
        " else := 4 if input.c == 1"
    )
    point = entry(text, "v")
    assert point.decide({"a": 1, "b": 1, "x": "Q"}) == "q"
    assert point.decide({"a": 1, "b": 1, "x": 5}) == 2
    assert point.decide({"a": 3, "b": 1, "x": "q"}) == 2
    assert point.decide({"a": 2, "c": 1}) == 4
    with pytest.raises(rego.EvalError, match="too many steps"):
        point.decide({"a": 3, "x": "q", "c": 1})


def test_values_of_rows_that_are_found_in_another_order_are_joined_in_the_order_of_the_rows() -> None:
    text = "\n".join(
        f'v := {value} if {{ startswith(input.x, "{"abcdefgh"[:size]}"); input.y }}'
        for size, value in ((3, "1.0"), (5, "1"), (2, "1.00"), (4, "1"), (1, "1"))
    )
    assert (
        repr(entry(text + "\nv := 1 if input.z", "v").evaluate(rego.from_json({"x": "abcdef", "y": True, "z": True}), 0))
        == "Decimal('1.0')"
    )


def test_rows_beyond_the_last_column_run_their_code(way: str) -> None:
    rules = "\n".join(f"allow if {{ input.a{number} == 1; input.b{number} == 2 }}" for number in range(MAX_DIMENSIONS))
    point = entry(rules)
    assert point.table.rows == MAX_DIMENSIONS
    assert point.table.columns <= MAX_DIMENSIONS
    if way == "trees":
        assert point.table.residuals == 0  # a tree tests whatever there is
    else:
        assert MAX_DIMENSIONS // 2 <= point.table.residuals < MAX_DIMENSIONS
    for number in range(MAX_DIMENSIONS):
        assert point.decide({f"a{number}": 1, f"b{number}": 2}) is True
        assert point.decide({f"a{number}": 1, f"b{number}": 3}) is rego.UNDEFINED


def test_a_body_longer_than_a_row_keeps_its_last_tests() -> None:
    tests = "; ".join(f"input.x{number} == {number}" for number in range(MAX_CELLS + 5))
    point = entry(f"allow if {{ {tests} }}\nallow if input.other")
    document = {f"x{number}": number for number in range(MAX_CELLS + 5)}
    assert point.decide(document) is True
    assert point.decide({**document, f"x{MAX_CELLS + 4}": 0}) is rego.UNDEFINED


# Read sets


@pytest.mark.parametrize(
    ("text", "inputs", "data"),
    [
        ("allow if input.a.b.c == 1", (("a", "b", "c"),), ()),
        ("allow if { input.a.b; input.a.c }", (("a", "b"), ("a", "c")), ()),
        ("allow if { input.a.b; input.a }", (("a",),), ()),
        ("allow if input.a[0].b", (("a",),), ()),
        ("allow if input.a[input.k]", (("a",), ("k",)), ()),
        ("allow if input.a[_].b", (("a",),), ()),
        ("allow if { x := input.w; x.y.z }", (("w",),), ()),
        ("allow if input", ((),), ()),
        ("allow if input[_]", ((),), ()),
        ("allow if count(input) > 1", ((),), ()),
        ("allow if h\nh if g(1)\ng(x) if input.q == x", (("q",),), ()),
        ("allow if data.x.y[input.k]", (("k",),), (("x", "y"),)),
        ("allow if data.t.h\nh if input.z", (("z",),), ()),
        ("allow if input.a with input.b as input.c", (("a",), ("c",)), ()),
        ("allow if true", (), ()),
    ],
)
def test_read_sets_are_the_least_prefixes_that_cover_what_is_read(text: str, inputs: Any, data: Any) -> None:
    reads = entry(text).reads
    assert (reads.input, reads.data) == (inputs, data)


def test_read_sets_name_the_built_ins_that_are_not_deterministic() -> None:
    assert entry('allow if { time.now_ns() > 1; rand.intn("x", 3) == 1; h }\nh if opa.runtime().x').reads.nondeterministic == (
        "opa.runtime",
        "rand.intn",
        "time.now_ns",
    )
    assert entry('allow if count("x") == 1').reads.nondeterministic == ()


def projected(document: Any, paths: tuple[tuple[str, ...], ...]) -> Any:
    """Return the document with nothing but what lies on the paths."""
    if () in paths or not isinstance(document, dict):
        return document
    below: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in paths:
        below.setdefault(first, []).append(tuple(rest))
    return {key: projected(document[key], tuple(rest)) for key, rest in below.items() if key in document}


def outcome(point: rego.EntryPoint, document: Any) -> Any:
    try:
        return point.decide(document, now_ns=1)
    except rego.EvalError as error:
        return error.code


@pytest.mark.parametrize("block", range(4))
def test_what_lies_outside_the_read_set_cannot_change_a_decision(block: int) -> None:
    decided = 0
    for seed in range(40_000 + block * 40, 40_000 + (block + 1) * 40):
        case = make_case(seed, inputs=3)
        try:
            compiled = rego.compile({"p.rego": case.source}, case.data)
        except rego.CompileError:
            continue
        for steps in compiled.artifact.entries:
            decided += sum(check_projection(compiled.rule(steps), document, seed) for document in case.inputs)
    assert decided > 200


def check_projection(point: rego.EntryPoint, document: Any, seed: int) -> int:
    expected, kept = outcome(point, document), projected(document, point.reads.input)
    assert outcome(point, kept) == expected, (seed, point.path, document)
    noise = make_input(random.Random(seed))  # noqa: S311
    assert outcome(point, merged(noise, kept, point.reads.input)) == expected, (seed, point.path, document)
    return 1


def merged(noise: Any, kept: Any, paths: tuple[tuple[str, ...], ...]) -> Any:
    """Return `kept` with fields of `noise` wherever no path looks."""
    if () in paths or not isinstance(kept, dict) or not isinstance(noise, dict):
        return kept
    heads = {path[0] for path in paths}
    result = {key: value for key, value in noise.items() if key not in heads}
    for key, value in kept.items():
        result[key] = merged(noise.get(key), value, tuple(path[1:] for path in paths if path[0] == key))
    return result


def test_code_that_needs_no_value_of_its_turn_is_not_shared_with_code_that_has_no_turn() -> None:
    source = """package t

allow if {
	some x in {"a", "b"}
	x == input.m
	every y in input.roles { y != input.path }
}

allow if {
	every y in input.roles { y != input.m }
}
"""
    fast, plain = rego.compile({"p.rego": source}), rego.compile({"p.rego": source}, optimize=False)
    for m in ("a", "b", "c"):
        for roles in ([], [m], ["/p"], ["x"], ["/p", m]):
            document = {"m": m, "roles": roles, "path": "/p"}
            assert fast.entrypoint("t/allow").decide(document) == plain.entrypoint("t/allow").decide(document)
