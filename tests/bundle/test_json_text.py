from __future__ import annotations

import re
from decimal import Decimal

import pytest

from authz.bundle.json_text import DocumentError, parse_json
from authz.rego.values import MAX_DEPTH


def test_numbers_stay_exact() -> None:
    assert parse_json("[0.1, 1e3, 12345678901234567890, -0.0]") == [Decimal("0.1"), Decimal(1000), 12345678901234567890, Decimal("-0.0")]
    assert all(type(number) in (int, Decimal) for number in parse_json("[0.1, 1, 1e400]"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "key `a` appears twice in one object"),
        ('{"x": [{"b": 1, "c": 2, "b": 3}]}', "key `b` appears twice in one object"),
        ("[NaN]", "`NaN` is not a JSON number"),
        ("-Infinity", "`-Infinity` is not a JSON number"),
        ("1e999999999", "number `1e999999999` is out of range"),
        ("1e-999999999", "number `1e-999999999` is out of range"),
        ("9" * 5000, "a number has too many digits"),
        ("[" * 100_000 + "]" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("", "not valid JSON"),
        ("{} {}", "not valid JSON: extra data"),
    ],
)
def test_what_is_not_one_exact_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(message)):
        parse_json(text)


def test_a_syntax_error_says_where() -> None:
    with pytest.raises(DocumentError, match="not valid JSON") as caught:
        parse_json('{\n  "a": tru\n}')
    assert (caught.value.row, caught.value.col) == (2, 8)
