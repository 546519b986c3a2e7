"""Texts of values: Rego's and JSON's."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego import numbers
from authz.rego.render import json_text, quote, to_text
from authz.rego.values import FALSE, NULL, TRUE, Object, Set, Value, compact_json, number_text

scalars: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from([NULL, TRUE, FALSE]),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(codec="utf-32")),
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner).map(tuple),
        st.lists(inner).map(Set),
        st.dictionaries(inner, inner).map(Object),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1"), (Decimal("1.0"), "1.0"), (Decimal("1E+3"), "1e3"), (Decimal("1.5E-9"), "1.5e-9"), (Decimal("-0.10"), "-0.10")],
)
def test_numbers_keep_the_form_of_their_source(number: int | Decimal, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize("text", ["-0", "1e0", "1E5", "100e-2", "1.5e+06", "0.0000001", "-0.0e-1"])
def test_a_number_is_written_as_it_was_read_whatever_its_form(text: str) -> None:
    number = numbers.parse(text)
    assert to_text((number,)) == f"[{text}]"
    assert json_text(Object({"a": number})) == f'{{"a":{text}}}'
    assert number_text(pickle.loads(pickle.dumps(number))) == text  # noqa: S301 - what was pickled here
    assert number == Decimal(text)
    assert hash(number) == hash(Decimal(text))


def test_integers_longer_than_python_prints_are_written_in_full() -> None:
    text = number_text(-(10**9000) - 7)
    assert text == "-1" + "0" * 8999 + "7"


def test_composites_read_as_rego() -> None:
    value = Object({"b": 1, "a": Set({3, 1}), TRUE: ("x", NULL, Set())})
    assert to_text(value) == '{true: ["x", null, set()], "a": {1, 3}, "b": 1}'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\x00\x7f\n\t", '"\\x00\\x7f\\n\\t"'),
        ("é☺\u2028\u00ad", '"é☺\\u2028\\u00ad"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_strings_are_quoted_as_go_quotes(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_quoting_in_ascii_escapes_the_rest() -> None:
    assert quote("é\n☺", ascii_only=True) == '"\\u00e9\\n\\u263a"'


def test_json_is_compact_sorted_and_safe_for_html() -> None:
    value = Object({"b": Decimal("1.0"), "a": ("<&>\u2028", Set({2, 1})), "c": Decimal("1E+3")})
    assert json_text(value) == '{"a":["\\u003c\\u0026\\u003e\\u2028",[1,2]],"b":1.0,"c":1e3}'


def test_json_keys_that_are_no_strings_become_their_text_and_string_keys_win() -> None:
    assert json_text(Object({1: "i", "1": "s", NULL: TRUE, ("a", 0): FALSE})) == '{"1":"s","[\\"a\\",0]":false,"null":true}'


def test_json_holds_integers_of_any_size_and_no_lone_surrogates() -> None:
    assert json_text((2**70, "\ud800")) == '[1180591620717411303424,"\\ufffd"]'


@given(values)
def test_the_fast_json_equals_the_slow_one(value: Value) -> None:
    assert json_text(value) == compact_json(value)


@given(values)
def test_json_reads_back(value: Value) -> None:
    json.loads(json_text(value), parse_int=Decimal, parse_float=Decimal)
