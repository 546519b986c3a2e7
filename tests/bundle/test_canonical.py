from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.canonical import canonical, canonical_json, canonical_yaml
from authz.bundle.errors import BundleError
from authz.bundle.json_text import parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"revision": "quickbrownfaux"}', b'{"revision":"quickbrownfaux"}'),
        ('{"b": [1, 2.50, "<é>"], "a": null}', '{"a":null,"b":[1,2.50,"<é>"]}'.encode()),
        ("[1.0, 1e3, 1E+3, -0, 123456789012345678901234567890, 0.10]", b"[1.0,1e3,1E+3,-0,123456789012345678901234567890,0.10]"),
        (r'"\u2028\u2029\b\f\n\u0001\u007f\/"', b'"\\u2028\\u2029\\b\\f\\n\\u0001\x7f/"'),
        (r'"\ud83d\ude00 \ud83d"', '"😀 \ufffd"'.encode()),
        ('{"é": 1, "z": 2, "\\ud800": 3}', '{"z":2,"é":1,"\ufffd":3}'.encode()),
    ],
)
def test_json_is_written_as_opa_hashes_it(text: str, wanted: bytes) -> None:
    assert canonical_json(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1.0", b'{"a":1}'),
        ("a: 1e3", b'{"a":1000}'),
        ("a: 0x10", b'{"a":16}'),
        ("a: 1e21", b'{"a":1e+21}'),
        ("a: 1.5e-7", b'{"a":1.5e-7}'),
        ("a: 0.000001", b'{"a":0.000001}'),
        ("a: -2.50", b'{"a":-2.5}'),
        ("a: 100.25", b'{"a":100.25}'),
        ("a: 18446744073709551615", b'{"a":18446744073709551615}'),
        ("a: 18446744073709551616", b'{"a":18446744073709552000}'),
        ("b: 1\na: [x, ~, true]", b'{"a":["x",null,true],"b":1}'),
    ],
)
def test_numbers_of_yaml_are_as_go_writes_them(text: str, wanted: bytes) -> None:
    assert canonical_yaml(text) == wanted


def test_the_digests_are_those_that_opa_has() -> None:
    manifest = canonical_json('{"revision": "quickbrownfaux"}')
    assert hashlib.md5(manifest, usedforsecurity=False).hexdigest() == "a005c38a509dc2d5a7407b9494efb2ad"
    assert hashlib.sha256(manifest).hexdigest() == "507a2c38a1441db58d2cb87982c42aa91a4342ef422a6b542eddebeef6f0412f"
    escaped = canonical_json('{"a":null,"b":[1,2.50,"<é>"]}')
    assert hashlib.sha256(escaped).hexdigest() == "3aa2a801eb50eb3b3b9ad9b4b313c5ecbe90c85813fd49fbbb94e85f57f84656"


@pytest.mark.parametrize("text", ["", "{", '{"a": 1, "a": 2}', "[" * 200_000, "NaN", "1e99999999999"])
def test_what_is_no_document_has_no_canonical_text(text: str) -> None:
    try:
        assert canonical_json(text) == text.encode()
    except BundleError:
        return


@given(JSON)
def test_what_is_written_is_read_as_it_was(document: Any) -> None:
    assert parse_json(canonical(document).decode()) == document


@given(JSON)
def test_canonical_text_is_its_own(document: Any) -> None:
    text = canonical(document)
    assert canonical_json(text.decode()) == text


def test_numbers_keep_their_text() -> None:
    assert canonical({"b": Decimal("1.50"), "a": 10**40}) == b'{"a":1' + b"0" * 40 + b',"b":1.50}'


def test_the_plain_encoder_agrees_on_what_is_plain() -> None:
    document = {"b": [True, None, {"x": "ü"}], "a": 3}
    assert canonical(document) == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
