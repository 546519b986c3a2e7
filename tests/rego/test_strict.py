from __future__ import annotations

import pytest

from authz import rego


def findings(source: str, rego_version: int = 1) -> list[str]:
    """Return the findings of strict mode in the module `package a`; it must compile without."""
    modules = {"a.rego": f"package a\n\n{source}\n"}
    rego.compile(modules, rego_version=rego_version)
    try:
        rego.compile(modules, rego_version=rego_version, strict=True)
    except rego.CompileError as error:
        return [f"{item.location.row}:{item.location.col} {item.code} {item.message}" for item in error.diagnostics]
    return []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import data.x\n\np := 1", ["3:1 rego_compile_error import data.x unused"]),
        ("import input.x as y\n\np := input.x", ["3:1 rego_compile_error import input.x as y unused"]),
        ("p if {\n\tx := 1\n\ttrue\n}", ["4:2 rego_compile_error assigned var x unused"]),
        ("p if {\n\t[x, y] := [1, 2]\n\ty > 1\n}", ["4:3 rego_compile_error assigned var x unused"]),
        ("p if [1 | x := 1]", ["3:11 rego_compile_error assigned var x unused"]),
        ("p if every x in [1] { y := x }", ["3:23 rego_compile_error assigned var y unused"]),
        ("p if {\n\tx := 1\n\t[x | x := 2]\n}", ["4:2 rego_compile_error assigned var x unused"]),
        ("f(x) := 1", ["3:3 rego_compile_error unused argument x. (hint: use _ (wildcard variable) instead)"]),
        ("f([x, y]) := y", ["3:4 rego_compile_error unused argument x. (hint: use _ (wildcard variable) instead)"]),
        ("f(x) := 1 if false\n\nelse := 2", ["3:3 rego_compile_error unused argument x. (hint: use _ (wildcard variable) instead)"]),
    ],
)
def test_what_is_unused_is_refused(source: str, expected: list[str]) -> None:
    assert findings(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import data.x\n\np := x.y",
        "import data.a as me\n\np if me.f(1)\n\nf(x) if x > 0",
        "import data.x\n\np if true with data.y as x",
        "import rego.v1\n\np := 1",
        "p := x if x := 1",
        "p contains x if x := 1",
        "p[x] := 1 if x := 1",
        "p if {\n\tx := 1\n\t[y | y := x]\n}",
        "p if {\n\tx := 1\n\tx\n}",
        "p if { x := 1; input.y with input.y as x }",
        "f(_) := 1",
        "f(x) := 1 if false\n\nelse := x",
        "f(x) := 1 if x == 1",
        "default f(x) := 1\n\nf(x) := x",
        "p if { some x in [1]; x > 0 }",
        "p if { [_, y] := [1, 2]; y > 1 }",
    ],
)
def test_what_is_used_is_fine(source: str) -> None:
    assert findings(source) == []


def test_every_finding_is_shown_in_the_order_of_lines() -> None:
    source = "import data.x\n\nf(y) if {\n\tz := 1\n\ttrue\n}\n\ng(w) := 1"
    assert [line.split()[0] for line in findings(source)] == ["3:1", "5:3", "6:2", "10:3"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import data.x\nimport data.y.x\n\np { x }", "import must not shadow import data.x"),
        ("input := 1", "rules must not shadow input (use a different rule name)"),
        ("p { any([true]) }", "deprecated built-in function calls in expression: any"),
    ],
)
def test_v0_is_held_to_the_checks_of_v1(source: str, message: str) -> None:
    (finding,) = findings(source, rego_version=0)
    assert finding.endswith(message)


def test_what_does_not_compile_at_all_is_said_first() -> None:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"a.rego": "package a\n\nimport data.x\n\np if y"}, strict=True)
    assert caught.value.code == "rego_unsafe_var_error"
