"""Objects and paths into documents."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.builtins import json_patch
from tests.rego.builtins.harness import call, failure, value


@pytest.mark.parametrize(
    ("target", "key", "expected"),
    [
        ({"a": 1}, "a", 1),
        ({"a": 1}, "b", "default"),
        ({"a": [1, {"b": 2}]}, ["a", 1, "b"], 2),
        ({"a": [1]}, ["a", Decimal("0.0")], 1),
        ({"a": [1]}, ["a", "0"], "default"),
        ({"a": [1]}, ["a", -1], "default"),
        ({"a": {"b", "c"}}, ["a", "b"], "b"),
        ({"a": None}, ["a"], None),
        ({"a": None}, ["a", "b"], "default"),
        ({"a": 1}, [], {"a": 1}),
        ({("a",): 1}, [["a"]], 1),
    ],
)
def test_get_follows_a_key_or_a_path(target: object, key: object, expected: object) -> None:
    assert call("object.get", target, key, "default") == value(expected)


def test_get_wants_an_object() -> None:
    assert failure("object.get", "a", 0, 1) == "eval_type_error: object.get: operand 1 must be object but got string"


def test_keys_filter_and_remove() -> None:
    target = {"a": 1, "b": 2, 3: 4}
    assert call("object.keys", target) == value({"a", "b", 3})
    for keys in (["a", 3], {"a", 3}, {"a": 0, 3: 0}):
        assert call("object.filter", target, keys) == value({"a": 1, 3: 4})
        assert call("object.remove", target, keys) == value({"b": 2})
    assert (
        failure("object.remove", target, "a")
        == "eval_type_error: object.remove: operand 2 must be one of {object, set, array} but got string"
    )


def test_union_merges_deeply_and_the_right_one_wins() -> None:
    assert call("object.union", {"a": {"b": 1}, "x": 1}, {"a": {"c": 2}}) == value({"a": {"b": 1, "c": 2}, "x": 1})
    assert call("object.union", {"a": {"b": 1}}, {"a": 2}) == value({"a": 2})


def test_union_of_many_forgets_what_a_scalar_replaced() -> None:
    assert call("object.union_n", [{"a": {"b": 2}}, {"a": 4}, {"a": {"c": 3}}]) == value({"a": {"c": 3}})
    assert call("object.union_n", []) == value({})
    assert (
        failure("object.union_n", [{}, 1])
        == "eval_type_error: object.union_n: operand 1 must be array of objects but got array containing number"
    )


def test_union_leaves_its_operands_alone() -> None:
    left = value({"a": {"b": 1}})
    call("object.union", left, {"a": {"c": 2}})
    assert left == value({"a": {"b": 1}})


@pytest.mark.parametrize(
    ("larger", "smaller", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": {1, 2}}}, {"a": {"b": {1}}}, True),
        ({"a": [1, 2, 3]}, {"a": [2, 3]}, True),
        ({"a": [1]}, {"a": {1}}, False),
        ({1, 2}, {1}, True),
        ([1, 2, 3], [1, 3], False),
        ([1, 1, 2], [1, 2], True),
        ([1, 2], [], True),
        ([1, 2, 3], {3, 1}, True),
        ([1, 1, 2], {1, 2, 3}, False),
        ([], set(), False),
    ],
)
def test_subset(larger: object, smaller: object, expected: bool) -> None:
    assert call("object.subset", larger, smaller) is value(expected)


def test_subset_of_different_types_is_an_error() -> None:
    message = "object.subset: both arguments object.subset must be of the same type or array and set"
    assert failure("object.subset", {1}, [1]) == f"eval_type_error: {message}"


def test_a_run_is_found_after_a_false_start() -> None:
    assert call("object.subset", [1, 1, 2, 1, 1, 2, 3], [1, 1, 2, 3]) is value(True)
    assert call("object.subset", [1] * 30_000, [*[1] * 15_000, 2]) is value(False)


@pytest.mark.parametrize(
    ("document", "paths", "kept"),
    [
        ({"a": {"b": 1, "c": 2}}, ["a/b"], {"a": {"b": 1}}),
        ({"a": [{"b": 1, "c": 2}, 2]}, ["a/0/b"], {"a": [{"b": 1}]}),
        ({"a": [1]}, [["a", 0]], {"a": []}),
        ({"a": {"b", "c"}}, ["a/b"], {"a": {"b"}}),
        ({"a": {"b": 1, "c": 2}}, ["a/b", "a"], {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1, "c": 2}}, ["a", "a/b"], {"a": {"b": 1, "c": 2}}),
        ({"a": 1}, [""], {}),
        ({"a": 1}, {"//a"}, {"a": 1}),
        ({"a/b~c": 1, "d": 1}, ["a~1b~0c"], {"a/b~c": 1}),
    ],
)
def test_json_filter(document: object, paths: object, kept: object) -> None:
    assert call("json.filter", document, paths) == value(kept)


@pytest.mark.parametrize(
    ("document", "paths", "rest"),
    [
        ({"a": [1, 2, 3]}, ["a/1"], {"a": [1, 3]}),
        ({"a": [1, 2, 3]}, [["a", 1]], {"a": [1, 2, 3]}),
        ({"a": {"b", "c"}}, ["a/b"], {"a": {"c"}}),
        ({"a": {"b": {"c": 1, "d": 2}}}, ["a/b/c"], {"a": {"b": {"d": 2}}}),
        ({"a": {"b": 1}}, ["a/b/c", "z"], {"a": {"b": 1}}),
        ({"a": 1}, [""], {"a": 1}),
    ],
)
def test_json_remove(document: object, paths: object, rest: object) -> None:
    assert call("json.remove", document, paths) == value(rest)


def test_paths_are_strings_or_arrays() -> None:
    message = "json.remove: operand 2 must be one of {set, array} containing string paths or array of path segments but got number"
    assert failure("json.remove", {}, [1]) == f"eval_type_error: {message}"
    assert failure("json.filter", {}, "a") == "eval_type_error: json.filter: operand 2 must be one of {set, array} but got string"


def add(path: object, item: object) -> dict[str, object]:
    return {"op": "add", "path": path, "value": item}


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"a": 1}, [add("b", 2)], {"a": 1, "b": 2}),
        ({"a": 1}, [add("", 2)], 2),
        ([1, 2], [add("-", 3)], [1, 2, 3]),
        ([1, 2], [add([1], 3)], [1, 3, 2]),
        ({"a": {2}}, [add(["a", 3], 3)], {"a": {2, 3}}),
        ({"a": {(1,), 2}}, [add(["a", [1], 0], 3)], {"a": {(3, 1), 2}}),
        ([1, 2], [{"op": "remove", "path": "1"}], [1]),
        ({"a": {"x"}}, [{"op": "remove", "path": "a/x"}], {"a": set()}),
        ({"a": {"b": 1}}, [{"op": "replace", "path": "/a/b", "value": 2}], {"a": {"b": 2}}),
        (1, [{"op": "replace", "path": "", "value": 2}], 2),
        ([1, 2], [{"op": "move", "from": "0", "path": "1"}], [2, 1]),
        ({"a": 1}, [{"op": "copy", "from": "a", "path": "b"}], {"a": 1, "b": 1}),
        ({"a": 1}, [{"op": "test", "path": "a", "value": Decimal("1.0")}], {"a": 1}),
        ({"1": "s", 1: "i"}, [{"op": "remove", "path": "1"}], {1: "i"}),
    ],
)
def test_json_patch_applies_operations(document: object, operations: object, expected: object) -> None:
    assert call("json.patch", document, operations) == value(expected)


@pytest.mark.parametrize(
    ("document", "operation", "message"),
    [
        ({"a": 1}, {"op": "remove", "path": "z"}, 'cannot delete child key "z" that does not exist'),
        ([1, 2], add("3", 3), "index for array insertion out of bounds"),
        ([1, 2], {"op": "remove", "path": "-"}, "index for array delete out of bounds"),
        ([1, 2], {"op": "remove", "path": "01"}, "leading zeros are not allowed in JSON paths"),
        ([1, 2], {"op": "remove", "path": "a"}, "invalid string for indexing"),
        ({"a": {2}}, add(["a", 3], 4), "set key 3 does not equal value to be inserted 4"),
        ({"a": 1}, {"op": "frob", "path": "a"}, "unrecognized op: 'frob'"),
        ({"a": 1}, {"path": "a"}, "missing required attribute 'op'"),
        ({"a": 1}, {"op": 1, "path": "a"}, "attribute 'op' must be a string but found: number"),
        ({"a": 1}, {"op": "frob"}, "missing required attribute 'path'"),
        ({"a": [2]}, {"op": "test", "path": "a/1"}, "path 1 does not exist in array term [2]"),
        ({"a": {2}}, {"op": "test", "path": "a/b"}, "path b does not exist in set term {2}"),
        ({"a": {}}, {"op": "test", "path": "a/b/c"}, 'path "b" does not exist in object term {}'),
        ({"a": "x"}, {"op": "test", "path": "a/b"}, 'expected composite type for path "b", found value: "x" (type: ast.String)'),
        ([1], {"op": "replace", "path": "2"}, "index for array delete out of bounds"),
        ([1], {"op": "replace", "path": "0"}, "missing required attribute 'value'"),
        ([1], {"op": "remove", "path": ["a"]}, "invalid string for indexing"),
        ([1], {"op": "remove", "path": [1.5]}, "invalid number type for indexing"),
        ([1], {"op": "remove", "path": [None]}, "invalid type for indexing"),
        ({"a": 1}, {"op": "test", "path": "a", "value": 2}, "value from EditTree != patch value.\n\nExpected: 2\n\nFound: 1"),
        ({"a": {"b": 1}}, {"op": "move", "from": "a", "path": "a/c"}, 'cannot unfold the already deleted composite node for key "a"'),
        (1, add("a", 1), "expected composite type, found value: 1 (type: ast.Number)"),
        ({"a": 1}, {"op": "remove", "path": ""}, "the document was removed"),
        ({}, 1, "must be an array of JSON-Patch objects, but at least one element is not an object"),
    ],
)
def test_json_patch_fails_as_a_whole(document: object, operation: object, message: str) -> None:
    assert failure("json.patch", document, [operation]) == f"eval_builtin_error: json.patch: {message}"


def test_a_path_of_another_kind_is_a_type_error() -> None:
    wanted = "one of {set, array} containing string paths or array of path segments"
    message = f"eval_type_error: json.patch: operand 2 must be {wanted} but got number"
    assert failure("json.patch", {}, [{"op": "frob", "path": 1}]) == message


def test_operations_see_what_those_before_them_did() -> None:
    operations = [add("a/0", {"x": 1}), add("a/0/y", 2), {"op": "copy", "from": "a/0", "path": "b"}, {"op": "remove", "path": "a/0/x"}]
    assert call("json.patch", {"a": [3]}, operations) == value({"a": [{"y": 2}, 3], "b": {"x": 1, "y": 2}})
    assert failure("json.patch", {"a": 1}, [{"op": "remove", "path": "a"}] * 2).endswith('already deleted scalar node for key "a"')


def test_many_operations_on_a_large_document_take_no_longer_than_on_a_small_one() -> None:
    document = {str(key): [key] for key in range(50_000)}
    result = call("json.patch", document, [add(f"{key}/0", "x") for key in range(5_000)])
    assert result["4999"] == ("x", 4999)
    assert result["5000"] == (5000,)


def test_a_patch_cannot_double_a_document_without_end() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"k{count}"} for count in range(64)]
    assert "values copied" in failure("json.patch", {"a": 1}, doubling)
    assert "operations" in failure("json.patch", {}, [add("a", 1)] * (json_patch.MAX_OPERATIONS + 1))


def test_a_patched_document_is_not_changed_in_place() -> None:
    document = value({"a": {"b": [1]}})
    call("json.patch", document, [add("a/b/0", 2)])
    assert document == value({"a": {"b": [1]}})
