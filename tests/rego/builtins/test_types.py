"""Type tests and casts."""

from __future__ import annotations

import pytest

from tests.rego.builtins.harness import call, failure, value

SAMPLES: dict[str, object] = {"null": None, "boolean": False, "number": 1.5, "string": "", "array": [], "object": {}, "set": set()}


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_type_test_holds_for_its_type_alone(kind: str) -> None:
    assert [name for name, sample in SAMPLES.items() if call(f"is_{kind}", sample)] == [kind]


@pytest.mark.parametrize("kind", SAMPLES)
def test_type_name_names_the_type(kind: str) -> None:
    assert call("type_name", SAMPLES[kind]) == kind


def test_casts_convert_between_array_and_set_and_otherwise_test() -> None:
    assert call("cast_array", {2, 1}) == (1, 2)
    assert call("cast_array", [2, 1]) == (2, 1)
    assert call("cast_set", [1, 1]) == value({1})
    assert call("cast_set", {1}) == value({1})
    assert call("cast_string", "a") == "a"
    assert call("cast_boolean", True) is True
    assert call("cast_null", None) == value(None)
    assert call("cast_object", {"a": 1}) == value({"a": 1})
    assert failure("cast_string", 1) == "eval_type_error: cast_string: operand 1 must be string but got number"
    assert failure("cast_array", "a") == "eval_type_error: cast_array: operand 1 must be one of {array, set} but got string"
