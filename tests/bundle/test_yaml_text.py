from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.json_text import DocumentError
from authz.bundle.yaml_text import MAX_NODES, parse_yaml
from authz.rego.values import MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", None),
        ("# nothing but a comment", None),
        ("a: 1", {"a": 1}),
        ("a: 0.10", {"a": Decimal("0.10")}),
        ("a: 1e5", {"a": Decimal(100_000)}),
        ("a: '1'", {"a": "1"}),
        ("a: [0x1F, 017, 0b101, -0x1, 1_000]", {"a": [31, 15, 5, -1, 1000]}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 2026-11-22", {"a": "2026-11-22"}),
        ("a: [yes, Off, true, ~, null]", {"a": [True, False, True, None, None]}),
        ("1: a\ntrue: b\n1.5: c", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("base: &x {b: 1, c: 2}\na:\n  <<: *x\n  c: 3", {"base": {"b": 1, "c": 2}, "a": {"b": 1, "c": 3}}),
        ("a:\n  <<: [{b: 1}, {b: 2, c: 3}]", {"a": {"b": 1, "c": 3}}),
        ("a: !!str 1", {"a": "1"}),
        ("--- # start\na: |\n  text\n", {"a": "text\n"}),
    ],
)
def test_yaml_means_what_it_means_to_opa(text: str, want: Any) -> None:
    assert parse_yaml(text) == want


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("a: 1\na: 2", "key `a` appears twice in one mapping", (2, 1)),
        ("a:\n- b: {c: 1, c: 1}", "key `c` appears twice", (2, 13)),
        ("a: .nan", "`.nan` is not a JSON number", (1, 4)),
        ("a: -.inf", "`-.inf` is not a JSON number", (1, 4)),
        ("a: 1e999999999", "out of range", (1, 4)),
        ("~: 1", "a key must be a string, a number or a boolean", (1, 1)),
        ("{a: 1}: 2", "a key must be", (1, 1)),
        ("a: !!binary aGk=", "has no meaning in JSON", (1, 4)),
        ("a: !python/object:os.system x", "has no meaning in JSON", (1, 4)),
        ("a: *x", "alias `x`", (1, 4)),
        ("a: &x [*x]", "alias `x` stands before its anchor, or inside it", (1, 8)),
        ("a: 1\n---\nb: 2", "more than one document", (2, 1)),
        ("a: [1, 2", "not valid YAML", (2, 1)),
        ("a: b: c", "not valid YAML", (1, 5)),
        ("<<: 1", "`<<` takes a mapping", (1, 1)),
    ],
)
def test_what_json_could_not_say_is_refused_with_its_place(text: str, message: str, where: tuple[int, int]) -> None:
    with pytest.raises(DocumentError, match=re.escape(message)) as caught:
        parse_yaml(text)
    assert (caught.value.row, caught.value.col) == where


def test_a_character_that_yaml_forbids_is_refused() -> None:
    with pytest.raises(DocumentError, match="not valid YAML"):
        parse_yaml("a: \x00")


def test_nesting_is_bounded_before_it_is_descended_into() -> None:
    with pytest.raises(DocumentError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_yaml("[" * 100_000 + "]" * 100_000)


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(DocumentError, match=f"more than {MAX_NODES} values"):
        parse_yaml("\n".join(lines))


def test_an_alias_is_a_copy() -> None:
    document = parse_yaml("a: &x {b: [1]}\nc: *x")
    document["c"]["b"].append(2)
    assert document["a"] == {"b": [1]}


printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | printable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(printable.filter(lambda key: len(key) < 100), inner, max_size=3),
    max_leaves=8,
)


@given(documents)
def test_json_is_yaml(document: Any) -> None:
    assert parse_yaml(json.dumps(document, ensure_ascii=False)) == document


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_an_error(text: str) -> None:
    with suppress(DocumentError):
        json.dumps(parse_yaml(text), default=str)
