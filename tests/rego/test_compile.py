"""Compilation as a whole: any text ends in a policy or a CompileError, soon; what is compiled runs within bounds."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from authz import rego
from tests.rego.oracle_policies import make_case

TOKENS = (
    "package t", "package", "import", "import data.a as b", "import rego.v1", "default", "p", "q", "f", "x", "y", "_", "input",
    "data", "input.x", "data.t.p", "p.a", "[", "]", "{", "}", "(", ")", "[_]", "[x]", ".", ",", ":", ";", "|", "&", ":=", "=",
    "==", "!=", "<", ">=", "+", "-", "*", "/", "%", "if", "else", "not", "some", "every", "in", "contains", "with", "as", "true",
    "false", "null", "1", "-1", "1e400", "0.5", '"s"', '"', "`r`", "count", "startswith", "walk", "time.now_ns()", "f(x)",
    "count(x)", "set()", "{x | ", "[x | ", "{x: y | ", '$"{x}"', "# c", "\n", "\n\n", "\t", "p if {", "p := ", "f(x) := ",
    "some x in ", "every x in ", "p contains ", "p[x] := ", "é", "\u2028", "\x00", "# METADATA\n# entrypoint: true\n",
)  # fmt: skip


def compiles(text: str, version: int = 1) -> rego.Policy | None:
    """Return the policy of a text, or None where it is refused; nothing but a CompileError may refuse it."""
    try:
        return rego.compile({"p.rego": text}, rego_version=version)
    except rego.CompileError as error:
        return None if str(error) else pytest.fail("an error without words")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.sampled_from([0, 1]))
@example(["package t", "\n", "p if {", "f(x)", "}", "\n", "f(x) := ", "1"], 1)
def test_any_row_of_tokens_compiles_or_is_refused(tokens: list[str], version: int) -> None:
    compiles("package t\n" + " ".join(tokens), version)
    compiles(" ".join(tokens), version)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 100_000), st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(TOKENS)), min_size=1, max_size=4))
def test_any_policy_with_tokens_put_in_anywhere_compiles_or_is_refused(seed: int, edits: list[tuple[int, str]]) -> None:
    text = make_case(seed, inputs=0).source
    for place, token in edits:
        cut = place % (len(text) + 1)
        text = f"{text[:cut]} {token} {text[cut:]}"
    policy = compiles(text)
    for path in policy.entrypoints[:3] if policy is not None else ():
        try:
            policy and policy.rule(tuple(path.split("/"))).decide({"m": "a", "list": [1, 2]}, now_ns=1)
        except (rego.EvalError, KeyError):
            continue


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    compiles(text)
    compiles("package t\np := " + text)


@pytest.mark.parametrize("data", [float("nan"), {"a": object()}, {"a": float("inf")}])
def test_data_that_is_not_json_is_refused(data: Any) -> None:
    with pytest.raises((rego.CompileError, ValueError)):
        rego.compile({}, data)


def test_modules_with_the_same_text_but_other_names_are_one_package() -> None:
    policy = rego.compile({"a.rego": "package t\np if input.a", "b.rego": "package t\np if input.b"})
    assert policy.entrypoint("t/p").decide({"b": 1}) is True


# Depth and length


def fan_out(number: int) -> str:
    """Return a helper of two bodies, each of which uses the two helpers after it."""
    one, two = f"h{number + 1}", f"h{number + 2}"
    return f"h{number} if {{ {one}; input.b{number}; {two} }}\nh{number} if {{ {two}; input.a{number}; {one} }}"


DEEP = {
    "arrays": "p := " + "[" * 150 + "input.x" + "]" * 150,
    "comprehensions": "p := " + "[x | x := " * 60 + "input.x" + "]" * 60,
    "sets in negations": "p if not " + "{x | not " * 30 + "input.x" + "; x := 1}" * 30,
    "every in every": "p if " + "every x in input.xs { " * 40 + "x" + " }" * 40,
    "calls": "p := " + "abs(" * 150 + "input.x" + ")" * 150,
    "operators": "p := " + " + ".join(["input.x"] * 150),
    "parentheses": "p := " + "(" * 150 + "input.x" + ")" * 150,
    "else": "p := 0 if input.x == 0" + "".join(f" else := {number} if input.x == {number}" for number in range(1, 190)),
    "too many else": "p := 0 if input.x == 0" + "".join(f" else := {number} if input.x == {number}" for number in range(1, 2000)),
    "references": "p := input" + ".x" * 180,
    "negated references": "p if not input" + ".x" * 180,
    "operands of a negated equality": "p if not {" + ", ".join(f'"{number}": input.a{number}' for number in range(300)) + "} == input.x",
    "iterations": "p if {" + "; ".join(f"some x{number} in input.xs" for number in range(40)) + "}",
    "iterations in a comprehension": "p := [1 | " + "; ".join(f"some x{number} in input.xs" for number in range(16)) + "]",
    "tests in one body": "p if {" + "; ".join(f"input.x{number} == {number}" for number in range(1500)) + "}",
    "helpers": "\n".join(f"h{number} if h{number + 1}" for number in range(2000)) + "\nh2000 if input.x\np if h0",
    "helpers that fan out": "\n".join(fan_out(number) for number in range(40)) + "\nh40 if input.x\nh41 if input.y\np if h0\np if input.z",
    "functions": "\n".join(f"f{number}(x) := f{number + 1}(x)" for number in range(2000)) + "\nf2000(x) := x\np := f0(input.x)",
    "or": "\n".join(f"p if input.x == {number}" for number in range(1000)),
    "or of code": "\n".join(f"p if endswith(input.x, \"{number}\")" for number in range(1000)),
    "values": "\n".join(f"p := {number} if input.x == {number}" for number in range(1000)),
    "with": "p if input.x" + "".join(f" with input.a{number} as {number}" for number in range(300)),
    "unions": "p := " + " | ".join(["{input.x}"] * 150),
}  # fmt: skip


@pytest.mark.parametrize("optimize", [True, False], ids=["tables", "plain"])
@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_policies_end_in_an_answer_or_a_clean_error(name: str, optimize: bool) -> None:
    try:
        point = rego.compile({"p.rego": "package t\n" + DEEP[name]}, optimize=optimize).entrypoint("t/p")
    except rego.CompileError as refused:
        codes = {refused.code}
    else:
        codes = {ended(point, document) for document in ({}, {"x": 1, "xs": [1]}, {"x": 999, "xs": []})}
    assert codes <= {"rego_parse_error", "rego_compile_error", "eval_internal_error", "eval_cancel_error", "answer"}


def ended(point: rego.EntryPoint, document: Any) -> str:
    """Return how a decision ended: with an answer, or an error's code."""
    try:
        point.decide(document)
    except rego.EvalError as error:
        return error.code
    return "answer"


def test_a_chain_of_rules_too_long_for_the_stack_is_an_evaluation_error() -> None:
    point = rego.compile({"p.rego": "package t\n" + DEEP["helpers"]}).entrypoint("t/p")
    with pytest.raises(rego.EvalError) as caught:
        point.decide({"x": 1})
    assert caught.value.code == "eval_internal_error"


def test_a_value_that_rules_nest_too_deeply_is_an_evaluation_error_or_an_answer() -> None:
    rules = "\n".join(f"v{number} := [v{number + 1}]" for number in range(250))
    point = rego.compile({"p.rego": f"package t\n{rules}\nv250 := 1\np if count({{v0}}) == 1"}).entrypoint("t/p")
    assert ended(point, {}) in {"answer", "eval_internal_error"}


# Speed


def allow_rules(count: int) -> str:
    rules = (
        f'h{number} if input.method == "M{number % 7}"\n'
        f'allow if {{ h{number}; input.path == "/p/{number}"; startswith(input.host, "h{number % 13}"); "r{number % 17}" in input.roles }}'
        for number in range(count)
    )
    return "package t\ndefault allow := false\n" + "\n".join(rules)


def compile_seconds(text: str) -> float:
    start = time.process_time()
    point = rego.compile({"p.rego": text}).entrypoint("t/allow")
    elapsed = time.process_time() - start
    assert point.decide({"method": "M3", "path": "/p/3", "host": "h3", "roles": ["r3"]}) is True
    return elapsed


def test_compile_time_grows_with_the_number_of_rules() -> None:
    """Not with its square: four times the rules may take six times as long, where a square would take sixteen."""
    small = min(compile_seconds(allow_rules(250)) for _ in range(2))
    large = min(compile_seconds(allow_rules(1000)) for _ in range(2))
    assert large < 6 * small + 0.2
    assert large < 3
