"""Queries are checked against the rules' types; `==` is a comparison there, which may be false."""

import pytest

from authz import rego
from tests.rego.types.checking import bad_arguments, no_collection, no_match

POLICY = rego.compile({"p.rego": 'package t\nq := 1\no := {"a": 1}\nf(x) := x + 1\ns contains "a"'})


def refusal(query: str) -> str:
    with pytest.raises(rego.CompileError) as caught:
        POLICY.query(query)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "rego_type_error"
    return "\n".join((diagnostic.message, *diagnostic.details))


@pytest.mark.parametrize(
    ("query", "finding"),
    [
        ('1 + "a"', bad_arguments("plus", "number, string", "x: number, y: number, z: number")),
        ('1 = "a"', no_match("number", "string")),
        ("data.t.q.x", no_collection("data.t.q.x", 8, "number")),
        ("x := data.t.q; x.y", no_collection("x.y", 1, "number")),
        ('data.t.f("a")', bad_arguments("data.t.f", "string", "number, number")),
        ("[x | x := data.t.q.y]", no_collection("data.t.q.y", 8, "number")),
    ],
)
def test_a_query_of_wrong_types_is_refused(query: str, finding: str) -> None:
    assert refusal(query) == finding


@pytest.mark.parametrize("query", ['1 == "a"', 'data.t.q == "a"', 'x := input.y; x == 1; x == "a"'])
def test_a_comparison_of_different_types_is_false(query: str) -> None:
    assert POLICY.query(query) == []


def test_a_query_may_replace_what_it_asks() -> None:
    assert POLICY.query('x := data.t.q.x with data.t.q as {"x": 7}') == [{"x": 7}]
