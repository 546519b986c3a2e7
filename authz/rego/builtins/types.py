"""Type tests, `type_name`, and the deprecated casts, which test too: none converts but array to set and back."""

from __future__ import annotations

from typing import cast

from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, NULL_T, OBJECT, SET, STRING, builtin
from authz.rego.values import Boolean, Null, Object, Set, Value
from authz.rego.values import type_name as name_of_type


@builtin("is_array", ANY, result=BOOLEAN)
def is_array(value: Value) -> bool:
    return type(value) is tuple


@builtin("is_boolean", ANY, result=BOOLEAN)
def is_boolean(value: Value) -> bool:
    return type(value) is Boolean


@builtin("is_null", ANY, result=BOOLEAN)
def is_null(value: Value) -> bool:
    return type(value) is Null


@builtin("is_number", ANY, result=BOOLEAN)
def is_number(value: Value) -> bool:
    return name_of_type(value) == "number"


@builtin("is_object", ANY, result=BOOLEAN)
def is_object(value: Value) -> bool:
    return type(value) is Object


@builtin("is_set", ANY, result=BOOLEAN)
def is_set(value: Value) -> bool:
    return type(value) is Set


@builtin("is_string", ANY, result=BOOLEAN)
def is_string(value: Value) -> bool:
    return type(value) is str


@builtin("type_name", ANY, result=STRING)
def type_name(value: Value) -> str:
    return name_of_type(value)


@builtin("cast_array", (ARRAY, SET), result=ARRAY, deprecated=True)
def cast_array(value: tuple[Value, ...] | Set) -> Value:
    return value.ordered() if isinstance(value, Set) else value


@builtin("cast_set", (ARRAY, SET), result=SET, deprecated=True)
def cast_set(value: tuple[Value, ...] | Set) -> Value:
    return value if isinstance(value, Set) else Set(value)


@builtin("cast_string", STRING, result=STRING, deprecated=True)
def cast_string(value: str) -> Value:
    return value


@builtin("cast_boolean", BOOLEAN, result=BOOLEAN, deprecated=True)
def cast_boolean(value: Boolean) -> bool:
    return value.truth


@builtin("cast_null", NULL_T, result=NULL_T, deprecated=True)
def cast_null(value: Null) -> Value:
    return cast(Value, value)


@builtin("cast_object", OBJECT, result=OBJECT, deprecated=True)
def cast_object(value: Object) -> Value:
    return value
