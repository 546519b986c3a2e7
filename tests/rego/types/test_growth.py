"""The checker's time grows with the policy, not with what types could be made of it."""

import time
from collections.abc import Iterator

import pytest

from authz.rego import nodes, parser
from authz.rego.compiler import collector_paused
from authz.rego.errors import CompileError
from authz.rego.planner import plan_modules


def shape(number: int) -> str:
    return f'{{"id": {number}, "k{number % 700}": {{"a": [1, "x", null], "n{number}": true}}}}'


def doubled() -> Iterator[str]:
    yield "p0 := input.x\nq0 := 1"
    for number in range(1, 200):
        yield f'p{number} := {{"a": p{number - 1}, "b": p{number - 1}}}\nq{number} := {{"a": q{number - 1}, "b": q{number - 1}}}'
    yield "r if p40 == q40\ns if p199 == q199\nt if q30 == 1"


def beside_references(levels: int) -> str:
    closure = "1 == 1"
    for level in range(levels):
        closure = f"a[y{level}] == [1 | {closure}; y{level + 1} == 1]"
    return f"a := {{1: [1]}}\nf({', '.join(f'y{level}' for level in range(levels + 1))}) if {closure}"


POLICIES = {
    "a constant of a megabyte": "d := {" + ", ".join(f'"k{number}": {shape(number)}' for number in range(3000)) + "}\n"
    "p if d.k5.id == 1\nq if { some x in d; x.foo }\nr if d.zzz\ns if d == 1",
    "an array of many items": f"d := {list(range(20_000))}\np if d[5] == 1\nq if d[_] == d[3]\nr if d == [1]",
    "a rule of many shapes": "\n".join(f"d := {shape(number)} if input.x == {number}" for number in range(1500)),
    "an object of many shapes": "\n".join(f'd["k{number}"] := {shape(number)} if input.x' for number in range(1000)),
    "an argument of many shapes": "\n".join(f"f({number}, {shape(number)}) := {shape(number)}" for number in range(700))
    + "\np := f(1, {})",
    "many uses of many shapes": f"d := [{', '.join(map(shape, range(200)))}]\n"
    + "\n".join(f"p{number} if {{ some x in d; x.id == {number}; x.k{number % 200} }}" for number in range(1000)),
    "values nested rule by rule": "p0 := 1\n" + "\n".join(f"p{number} := [p{number - 1}]" for number in range(1, 2000)) + "\nq if p40 == 1",
    "values doubled rule by rule": "\n".join(doubled()),
    "closures in closures": f"p := {'[x | x := ' * 45}1{']' * 45}",
    "closures in closures, beside references": beside_references(45),
    "many replaced documents": "base := 1\n" + "\n".join(f"r{number} := base + {number}" for number in range(400)) + "\n"
    + "\n".join(f"test_{number} if {{ r{number} == 1 with base as {number} }}" for number in range(400)),
}  # fmt: skip


def verdict(module: nodes.Module) -> str:
    """Return what the checker says, if anything."""
    try:
        plan_modules((module,))
    except CompileError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("text", POLICIES.values(), ids=POLICIES.keys())
def test_any_policy_is_checked_soon(text: str) -> None:
    module = parser.parse_module("p.rego", f"package t\n{text}")
    started = time.process_time()
    with collector_paused():
        assert len(verdict(module)) < 100_000
    assert time.process_time() - started < 5  # at most 1.5 s, nearly all of it other passes; what doubles would take years
