"""Whatever the operands, a built-in returns a value or nothing, or raises BuiltinError; and it does so soon."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.rego.builtins import (
    BUILTINS,
    aggregates,
    arithmetic,
    arrays,
    comparison,
    graph,
    json_patch,
    json_paths,
    objects,
    semver,
    sets,
    sprintf,
    strings,
    templates,
    types,
    units,
    uuid,
)
from authz.rego.builtins.registry import Builtin, Param
from authz.rego.errors import BuiltinError
from authz.rego.values import FALSE, NULL, TRUE, Object, Set, Value, type_name
from tests.rego.builtins.harness import Evaluation

FAMILIES = {
    family.__name__
    for family in (
        aggregates,
        arithmetic,
        arrays,
        comparison,
        graph,
        json_patch,
        json_paths,
        objects,
        semver,
        sets,
        sprintf,
        strings,
        templates,
        types,
        units,
        uuid,
    )
}
PURE = sorted(name for name, builtin in BUILTINS.items() if builtin.function.__module__ in FAMILIES | {"authz.rego.numbers"})

numbers: st.SearchStrategy[Value] = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal("1.0"), Decimal("1E+1000000000"), Decimal("1E-1000000000"), Decimal("-0.0"), 2**64]),
)
texts: st.SearchStrategy[Value] = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="%.*[]0123456789 +-#sdvxfTq", max_size=12),
    st.sampled_from(["add", "/a/0", "{{.a}}", "{{range .}}{{.}}{{end}}", "1.0.0-rc.1", "1e999999", "\ud800", "inf", "5Ki"]),
)
scalars: st.SearchStrategy[Value] = st.one_of(st.sampled_from([NULL, TRUE, FALSE]), numbers, texts)
anything: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(Set),
        st.dictionaries(inner, inner, max_size=4).map(Object),
    ),
    max_leaves=8,
)
BY_TYPE: dict[str, st.SearchStrategy[Value]] = {
    "any": anything,
    "null": st.just(NULL),
    "boolean": st.sampled_from([TRUE, FALSE]),
    "number": numbers,
    "integer": numbers,
    "index": numbers,
    "string": texts,
    "array": st.lists(anything, max_size=5).map(tuple),
    "object": st.dictionaries(st.one_of(texts, anything), anything, max_size=4).map(Object),
    "set": st.lists(anything, max_size=5).map(Set),
}


def operand(param: Param) -> st.SearchStrategy[Value]:
    names = (param,) if isinstance(param, str) else param
    return st.one_of(*[BY_TYPE[name] for name in names], anything)


HUGE: dict[str, Value] = {
    "any": (10**4000, "9" * 5000),
    "null": NULL,
    "boolean": TRUE,
    "number": 10**4000,
    "integer": 10**4000,
    "index": 10**4000,
    "string": "9" * 5000,
    "array": ("9" * 5000, 10**4000, Decimal("1E+4000")) * 10,
    "object": Object({"9" * 5000: 10**4000}),
    "set": Set({10**4000, "9" * 5000, Set({10**4000})}),
}


def check(builtin: Builtin, operands: list[Value]) -> None:
    """Call the built-in, and look at what it returns unless it fails as it may."""
    context = [Evaluation()] if builtin.needs_context else []
    try:
        result = builtin.call(*context, *operands)
    except BuiltinError:
        return
    if builtin.is_relation:
        result = tuple(result)
    if builtin.returns_bool:
        assert type(result) is bool
    elif result is not None:
        assert builtin.result in {"any", type_name(result)}
        assert isinstance(hash(result), int)


@pytest.mark.parametrize("name", PURE)
@settings(max_examples=25, deadline=2000)
@given(data=st.data())
def test_every_call_ends_in_a_value_or_a_builtin_error(name: str, data: st.DataObject) -> None:
    builtin = BUILTINS[name]
    check(builtin, [data.draw(operand(param)) for param in builtin.params])


@pytest.mark.parametrize("name", PURE)
def test_huge_operands_are_no_different(name: str) -> None:
    params = [(param,) if isinstance(param, str) else param for param in BUILTINS[name].params]
    for kinds in itertools.product(*params):
        check(BUILTINS[name], [HUGE[kind] for kind in kinds])


def test_the_families_are_all_there() -> None:
    assert len(PURE) > 100
