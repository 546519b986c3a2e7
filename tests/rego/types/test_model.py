"""Types as values: equal ones are one object, unions stay flat and bounded, keys select what they can."""

from decimal import Decimal

import pytest

from authz.rego.types.model import (
    ANY,
    BOOLEAN,
    MAX_HEIGHT,
    MAX_MEMBERS,
    NULL,
    NUMBER,
    STRING,
    Type,
    array,
    either,
    function,
    is_unknown,
    items,
    keys,
    object_,
    select,
    set_,
    type_of_value,
    union,
    union_type,
)
from authz.rego.types.texts import MAX_TEXT, type_text
from authz.rego.types.unify import Unifier
from authz.rego.values import NULL as NULL_VALUE
from authz.rego.values import TRUE, Object, Value

OBJECT = object_({"a": NUMBER, 1: STRING}, (BOOLEAN, NULL))


def test_equal_types_are_one_object() -> None:
    assert object_({"b": NUMBER, "a": set_(STRING)}) is object_({"a": set_(STRING), "b": NUMBER})
    assert union((NUMBER, STRING, NUMBER)) is union_type((STRING, NUMBER))
    assert array((NUMBER,)) is not array((), NUMBER)


def test_a_union_is_flat_and_anything_absorbs() -> None:
    assert union((NUMBER, union((STRING, NULL)), None, STRING)) is union_type((NULL, NUMBER, STRING))
    assert either(NUMBER, ANY) is ANY
    assert either(None, NUMBER) is NUMBER
    assert union(()) is None


def test_a_union_of_too_many_types_is_anything() -> None:
    many = [array((NUMBER,) * size) for size in range(MAX_MEMBERS + 1)]
    assert union(many[:-1]) is not ANY
    assert union(many) is ANY


def test_a_type_that_is_nested_too_deeply_is_anything() -> None:
    deep: Type = NUMBER
    for _ in range(MAX_HEIGHT):
        deep = array((deep,))
    assert deep is not ANY
    assert array((deep,)) is ANY


def test_functions_make_a_union_with_functions_of_as_many_arguments_only() -> None:
    one, two = function((NUMBER,), STRING), function((STRING,), STRING)
    assert either(one, two) is function((union_type((NUMBER, STRING)),), STRING)
    assert either(one, NUMBER) is None
    assert either(one, function((), STRING)) is None


def test_what_has_an_unknown_part_is_unknown_a_union_never_is() -> None:
    assert is_unknown(array((NUMBER, None)))
    assert is_unknown(object_({"a": array((None,))}))
    assert is_unknown(set_(None))
    assert not is_unknown(union_type((set_(None), NUMBER)))


@pytest.mark.parametrize(
    ("whole", "key", "selected"),
    [
        (ANY, "a", ANY),
        (array((NUMBER,), STRING), 0, NUMBER),
        (array((NUMBER,), STRING), 7, STRING),
        (array((NUMBER,)), 1, None),
        (array((NUMBER,)), -1, None),
        (array((), NUMBER), Decimal("1.0"), None),
        (array((), NUMBER), 2**63, None),
        (array((), NUMBER), "a", None),
        (OBJECT, "a", NUMBER),
        (OBJECT, Decimal("1.0"), STRING),
        (OBJECT, TRUE, NULL),
        (OBJECT, "b", None),
        (set_(NUMBER), 3, NUMBER),
        (set_(NUMBER), "a", None),
        (set_(union_type((NUMBER, STRING))), "a", STRING),
        (set_(ANY), "a", STRING),
        (union_type((NUMBER, OBJECT, array((), STRING))), 1, STRING),
        (union_type((NUMBER, set_(STRING))), 1, None),
        (NUMBER, "a", None),
        (None, "a", None),
    ],
)
def test_a_key_selects(whole: Type | None, key: Value, selected: Type | None) -> None:
    assert select(whole, key) is selected


def test_a_collection_has_keys_and_items() -> None:
    assert (keys(OBJECT), items(OBJECT)) == (union((NUMBER, STRING, BOOLEAN)), union((NUMBER, STRING, NULL)))
    assert (keys(array((NUMBER,), STRING)), items(array((NUMBER,), STRING))) == (NUMBER, union((NUMBER, STRING)))
    assert (keys(set_(STRING)), items(set_(STRING))) == (STRING, STRING)
    assert (keys(union_type((NUMBER, set_(STRING)))), items(ANY)) == (STRING, ANY)
    assert (keys(NUMBER), items(STRING)) == (None, None)


def test_a_value_has_a_type_of_known_keys() -> None:
    value: Value = (1, "a", NULL_VALUE, Object({"b": (TRUE,)}))
    assert type_of_value(value) is array((NUMBER, STRING, NULL, object_({"b": array((BOOLEAN,))})))


@pytest.mark.parametrize(
    ("left", "right", "unifies"),
    [
        (ANY, NUMBER, True),
        (NUMBER, STRING, False),
        (None, ANY, False),
        (union_type((NUMBER, STRING)), union_type((STRING, NULL)), True),
        (union_type((NUMBER, STRING)), union_type((BOOLEAN, NULL)), False),
        (array((NUMBER,)), array((), NUMBER), True),
        (array((NUMBER,)), array((NUMBER, NUMBER)), False),
        (array((NUMBER,)), array((NUMBER,), STRING), True),
        (array((), NUMBER), array((), STRING), False),
        (array((), NUMBER), set_(NUMBER), False),
        (object_({"a": NUMBER}), object_({"a": NUMBER, "b": NUMBER}), False),
        (object_({"a": NUMBER}, (STRING, NUMBER)), object_({"b": NUMBER}), True),
        (object_({"a": NUMBER}), object_({}, (STRING, STRING)), False),
        (object_({"a": NUMBER}), object_({}, (NUMBER, STRING)), True),
        (object_({}, (STRING, NUMBER)), object_({}, (NUMBER, NUMBER)), True),
        (object_({"a": None}), object_({"a": None}), False),
        (function((NUMBER,), NULL), function((ANY,), STRING), True),
        (function((NUMBER,), NULL), function((), NULL), False),
        (function((NUMBER,), NULL), ANY, False),
    ],
)
def test_types_unify_if_a_value_may_be_of_both(left: Type | None, right: Type | None, unifies: bool) -> None:
    unifier = Unifier()
    assert unifier.unifies(left, right) is unifies
    assert unifier.unifies(right, left) is unifies


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (None, "???"),
        (ANY, "any"),
        (array(()), "array"),
        (array((NUMBER, None), STRING), "array<number, ???>[string]"),
        (object_({"b": NULL, "a": NUMBER, 2: STRING}, (ANY, None)), "object<2: string, a: number, b: null>[any: ???]"),
        (set_(None), "set[???]"),
        (union_type((set_(NUMBER), STRING, object_({}), array((), ANY), NULL, BOOLEAN, NUMBER)),
         "any<null, boolean, number, string, array[any], object, set[number]>"),
        (function((NUMBER, ANY), BOOLEAN), "(number, any) => boolean"),
    ],
)  # fmt: skip
def test_a_type_is_written_as_opa_writes_it(kind: Type | None, text: str) -> None:
    assert type_text(kind) == text


def test_the_text_of_a_huge_type_ends_somewhere() -> None:
    text = type_text(array((NUMBER,) * 100_000))
    assert len(text) == MAX_TEXT + 1
    assert text.endswith("…")
