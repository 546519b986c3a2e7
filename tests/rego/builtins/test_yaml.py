"""YAML built-ins: what plain scalars mean, aliases and their bounds, and how values are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rego.builtins.as_json import call, failure


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[yes, 0o7, 1e3, 2001-01-01, ~]", [True, 7, 1000, "2001-01-01", None]),
        ("[y, n, on, off, True, tRue, Null, '', 'no']", [True, False, True, False, True, "tRue", None, "", "no"]),
        ("[010, 0x1F, 0b11, 0b12, 1_000, -0x1, 08, _1]", [8, 31, 3, "0b12", 1000, -1, 8, "_1"]),
        ("[1.10, .5, 5., 1e400, 1_0.5, .e3]", [1.1, 0.5, 5, "1e400", 10.5, ".e3"]),
        ("[18446744073709551615, 18446744073709551616]", [18446744073709551615, 18446744073709552000]),
        ("[1:20, !!str 1, !!int '7', !!float 0x10, !foo 1]", ["1:20", "1", 7, 16, "1"]),
        ("{1: a, true: b, 1.5: c}", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: 1\na: 2", {"a": 2}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
        ("", None),
        ("---\na\n---\nb", "a"),
        ("!!binary aGVsbG8=", "hello"),
        ("a: .inf\na: 1", {"a": 1}),
        ("{1.0: a, 16777217.0: b, .inf: c}", {"1": "a", "1.6777216e+07": "b", ".inf": "c"}),
        ("[!!timestamp 2001-01-01, +18446744073709551615, '<<']", ["2001-01-01", 18446744073709552000, "<<"]),
    ],
)
def test_yaml_means_what_it_means_to_opa(text: str, value: Any) -> None:
    assert call("yaml.unmarshal", text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,2,3", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("\n\na: b: c", "yaml: line 3: mapping values are not allowed in this context"),
        ("a:\n  - b\n c: d", "yaml: line 2: did not find expected key"),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("[.inf]", "json: unsupported value: +Inf"),
        ("!!int abc", "yaml: cannot decode !!str `abc` as a !!int"),
        ("a: \x01", "yaml: control characters are not allowed"),
        ("{<<: 1}", "yaml: map merge requires map or sequence of maps as the value"),
        ("- .nan\n- [", "yaml: line 2: did not find expected node content"),
        ("a\nb: c", "yaml: line 2: mapping values are not allowed in this context"),
        ("null: [1, x]", 'unsupported map key of type: %!s(<nil>), key: <nil>, value: []interface {}{1, "x"}'),
        ("? {a: ~}\n: 1", 'yaml: invalid map key: map[interface {}]interface {}{"a":interface {}(nil)}'),
        ("!!timestamp x", "yaml: cannot decode !!str `x` as a !!timestamp"),
        ("!!binary abGk=", "yaml: !!binary value contains invalid base64 data"),
    ],
)
def test_what_is_not_yaml_is_refused_in_the_words_of_opa(text: str, message: str) -> None:
    assert failure("yaml.unmarshal", text) == message
    assert call("yaml.is_valid", text) is False


def test_aliases_cannot_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    assert failure("yaml.unmarshal", "\n".join(lines)) == "yaml: document contains excessive aliasing"


def test_depth_is_bounded() -> None:
    assert failure("yaml.unmarshal", "[" * 900 + "]" * 900)
    assert failure("yaml.unmarshal", "- " * 900 + "x")


def test_values_are_written_as_block_yaml() -> None:
    document = {"a": 1, "b": [1, "x", None, True, {"c": []}], "d": {}, "e": ""}
    assert call("yaml.marshal", document) == 'a: 1\nb:\n- 1\n- x\n- null\n- true\n- c: []\nd: {}\ne: ""\n'


def test_texts_that_would_be_read_as_something_else_are_quoted() -> None:
    texts = ["yes", "1", "~", "a: b", "2001-01-01", "1:20", ".inf", "a\nb", "-", "0o8"]
    assert call("yaml.marshal", texts) == (
        '- "yes"\n- "1"\n- "~"\n- \'a: b\'\n- "2001-01-01"\n- "1:20"\n- ".inf"\n- |-\n  a\n  b\n- \'-\'\n- 0o8\n'
    )


def test_keys_and_numbers_are_written_as_go_yaml_does() -> None:
    assert call("yaml.marshal", {"z": 1, "a10": 1, "a2": 2, "1": 1, "B": 1}) == '"1": 1\nB: 1\na2: 2\na10: 1\nz: 1\n'
    assert (
        call("yaml.marshal", [1.5, 1e21, 1e-7, 1234567.5, 2**64]) == "- 1.5\n- 1e+21\n- 1e-07\n- 1.2345675e+06\n- 1.8446744073709552e+19\n"
    )


def test_what_yaml_does_not_allow_is_not_written() -> None:
    assert failure("yaml.marshal", ["\x7f"]) == "yaml: control characters are not allowed"


def test_values_are_written_as_yaml_reads_their_json() -> None:
    assert call("yaml.marshal", ["a\x85b", 10**30, "<<"]) == '- a b\n- 1e+30\n- "<<"\n'
    assert call("yaml.marshal", {"-1": 1, "-9223372036854775809": 2}) == '"-9223372036854775809": 2\n"-1": 1\n'


@given(
    st.recursive(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"])) | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1:- ", max_size=4), inner, max_size=3),
    )
)
def test_what_is_written_reads_as_it_was(document: object) -> None:
    assert call("yaml.unmarshal", call("yaml.marshal", document)) == document


@given(st.text())
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    assert call("yaml.is_valid", text) in (True, False)
