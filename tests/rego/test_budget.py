"""An evaluation that runs away ends in an error, not in a hang."""

import pytest

from authz import rego

RUNAWAYS = {
    "nested iteration": "p := count([1 | xs[_]; xs[_]; xs[_]; xs[_]])",
    "nested every": "p if { every x in xs { every y in xs { every z in xs { x + y + z > 0 } } } }",
    "relation": "p := count([1 | walk(xs, _); walk(xs, _); walk(xs, _)])",
    "function calls": "\n".join(["p := f0(1)", *(f"f{n}(x) := f{n + 1}(x + 1) + f{n + 1}(x + 2)" for n in range(40)), "f40(x) := x"]),
    "comprehension in a with scope": "p := count([1 | xs[_]; xs[_]; q with input.x as 1])\nq if { xs[_]; xs[_] == -1 }",
}


@pytest.mark.parametrize("body", RUNAWAYS.values(), ids=RUNAWAYS.keys())
@pytest.mark.parametrize("optimize", [True, False])
def test_a_runaway_policy_is_an_evaluation_error(body: str, *, optimize: bool) -> None:
    policy = rego.compile({"a.rego": f"package a\nxs := numbers.range(1, 300)\n{body}\n"}, optimize=optimize)
    with pytest.raises(rego.EvalError, match="evaluation takes too many steps") as caught:
        policy.entrypoint("a/p").decide({})
    assert caught.value.code == "eval_cancel_error"


def test_a_long_but_bounded_iteration_ends_well() -> None:
    policy = rego.compile({"a.rego": "package a\np := count([1 | xs[_]; xs[_]])\nxs := numbers.range(1, 300)\n"})
    assert policy.entrypoint("a/p").decide({}) == 90_000
