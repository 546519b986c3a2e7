from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle.archive import write_archive
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.delta import apply_delta, make_delta
from authz.bundle.errors import BundleError
from authz.bundle.patch import Op, Operation, apply_patch, parse_patch
from tests.bundle.archives import bundle

DATA: Final = {"a": {"arr": [1, 2, 3], "o": {"k": 1, "x/y": 2, "p%q": 3, "t~u": 4}, "s": 1}}
OTHERS: Final = {"k": 1, "x/y": 2, "p%q": 3, "t~u": 4}


def snapshot(
    data: Any = DATA, revision: str = "1", roots: tuple[str, ...] = ("a",), name: str = "main", more: Mapping[str, str] | None = None
) -> Bundle:
    manifest = {"revision": revision, "roots": list(roots)}
    return bundle({"data.json": json.dumps(data), ".manifest": json.dumps(manifest), **(more or {})}, name)


def delta(*operations: dict[str, Any], revision: str = "2", roots: tuple[str, ...] = ("a",), name: str = "main", **metadata: Any) -> Bundle:
    manifest = {"revision": revision, "roots": list(roots), "metadata": metadata}
    return bundle({"patch.json": json.dumps({"data": operations}), ".manifest": json.dumps(manifest)}, name)


def change(op: str, path: str, value: Any = 9) -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (change("upsert", "/a/arr/0"), {"arr": [9, 1, 2, 3]}),
        (change("upsert", "/a/arr/3"), {"arr": [1, 2, 3, 9]}),
        (change("upsert", "/a/arr/-"), {"arr": [1, 2, 3, 9]}),
        (change("replace", "/a/arr/1"), {"arr": [1, 9, 3]}),
        (change("remove", "/a/arr/1"), {"arr": [1, 3]}),
        (change("upsert", "/a/o/x~1y"), {"o": OTHERS | {"x/y": 9}}),
        (change("upsert", "/a/o/x%2Fy"), {"o": OTHERS | {"x/y": 9}}),
        (change("upsert", "/a/o/p%25q"), {"o": OTHERS | {"p%q": 9}}),
        (change("upsert", "/a/o/t~0u"), {"o": OTHERS | {"t~u": 9}}),
        (change("upsert", "a/n/m/l/", {"z": 1}), {"n": {"m": {"l": {"z": 1}}}}),
        (change("upsert", "/a//x"), {"": {"x": 9}}),
        ({"op": "upsert", "path": "/a/x"}, {"x": None}),
        (change("replace", "/a/s", [1]), {"s": [1]}),
    ],
)
def test_operations_change_data_as_opa_does(operation: dict[str, Any], wanted: dict[str, Any]) -> None:
    """The outcomes are those of OPA 1.20.2, served a snapshot and then the delta."""
    assert apply_delta(snapshot(), delta(operation)).data == {"a": DATA["a"] | wanted}


def test_a_root_itself_can_be_replaced_and_removed() -> None:
    assert apply_delta(snapshot(), delta(change("upsert", "/a", {"q": 1}))).data == {"a": {"q": 1}}
    assert apply_delta(snapshot(), delta(change("remove", "/a"))).data == {}


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (change("remove", "/a/arr/7"), "cannot remove `/a/arr/7`: `7` is no index of the array, which has 3 items"),
        (change("replace", "/a/arr/-"), "cannot replace `/a/arr/-`: `-` is no index of the array, which has 3 items"),
        (change("upsert", "/a/arr/4"), "cannot upsert `/a/arr/4`: `4` is no index"),
        (change("upsert", "/a/arr/01"), "cannot upsert `/a/arr/01`: `01` is no index"),
        (change("upsert", "/a/arr/x/y"), "cannot upsert `/a/arr/x/y`: `x` is no index"),
        (change("upsert", "/a/arr/1/x"), "the path leads through a value that is neither object nor array"),
        (change("upsert", "/a/s/t"), "the path leads through a value that is neither object nor array"),
        (change("upsert", "/a/s/t/u"), "the path leads through a value that is neither object nor array"),
        (change("replace", "/a/nope"), "cannot replace `/a/nope`: there is nothing at this path"),
        (change("remove", "/a/nope"), "cannot remove `/a/nope`: there is nothing at this path"),
        (change("remove", "/a/nope/x"), "cannot remove `/a/nope/x`: there is nothing at `nope`"),
    ],
)
def test_an_operation_that_cannot_be_done_refuses_the_delta(operation: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError) as caught:
        apply_delta(snapshot(), delta(change("upsert", "/a/new"), operation))
    assert caught.value.message.startswith("delta bundle 'main': ")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "patch.json:1:1: not valid JSON"),
        ("[]", "patch.json: must be an object whose `data` is an array"),
        ('{"data": {}}', "patch.json: must be an object whose `data` is an array"),
        ('{"data": [1]}', "patch.json: operation 0 must be an object with `op`, `path` and `value`"),
        ('{"data": [{"op": "upsert"}]}', "patch.json: operation 0 must be an object with `op`, `path` and `value`"),
        ('{"data": [{"op": "add", "path": "/a"}]}', "patch.json: operation 0: bad patch operation: add"),
        ('{"data": [{"path": "/a"}]}', "patch.json: operation 0: bad patch operation: None"),
        ('{"data": [{"op": "upsert", "path": "/"}]}', "patch.json: operation 0: the path `/` is the whole document"),
        ('{"data": [{"op": "upsert", "path": ""}]}', "patch.json: operation 0: the path `` is the whole document"),
        ('{"data": [{"op": "upsert", "path": "/a/p%q"}]}', "`%` in the path `/a/p%q` begins no percent-encoding"),
        ('{"data": [{"op": "upsert", "path": "/a/%ff"}]}', "the path `/a/%ff` is not valid UTF-8"),
        (json.dumps({"data": [change("upsert", "/a" * 200)]}), "the path is deeper than 128 levels"),
        (f'{{"data": [{{"op": "upsert", "path": "/a/b", "value": {"[" * 127 + "]" * 127}}}]}}', "nested deeper than 128 levels"),
    ],
)
def test_a_patch_that_is_wrong_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse_patch(text)
    assert message in caught.value.message


def test_a_patch_without_operations_is_refused() -> None:
    for text in ("{}", '{"data": null}', '{"data": []}'):
        with pytest.raises(BundleError, match=r"patch\.json: has no operation"):
            bundle({"patch.json": text})


@pytest.mark.parametrize("extra", [{"data.json": "{}"}, {"x/data.yaml": "{}"}, {"policy.rego": "package a"}])
def test_a_delta_holds_nothing_but_its_patch(extra: dict[str, str]) -> None:
    with pytest.raises(BundleError, match=r"delta bundle expected to contain only patch file but (data|policy) files found"):
        bundle({"patch.json": json.dumps({"data": [change("upsert", "/a/b")]}), **extra})


def test_a_patch_outside_of_the_roots_is_refused() -> None:
    for path in ("/b", "/ab", "/b/a"):
        with pytest.raises(BundleError, match=rf"manifest roots \[a\] do not permit data patch at path '{path[1:]}'"):
            delta(change("upsert", path))
    with pytest.raises(BundleError, match=r"manifest roots \[a/b\] do not permit data patch at path 'a'"):
        delta(change("remove", "/a"), roots=("a/b",))


def test_the_manifest_of_the_delta_takes_over() -> None:
    made = apply_delta(snapshot(), delta(change("upsert", "/a/x"), owner="me"))
    assert (made.revision, made.manifest.metadata, made.is_delta) == ("2", {"owner": "me"}, False)
    assert parse_bundle("main", write_archive(made.files)).data == made.data


def test_the_modules_stay() -> None:
    base = snapshot(more={"p.rego": "package a", "p_test.rego": "package a"})
    made = apply_delta(base, delta(change("upsert", "/a/x")))
    assert (made.modules, made.tests) == (base.modules, base.tests)
    assert made.digest != base.digest


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (snapshot({}, roots=("b",)), "delta bundle 'main' has wasm resolvers or manifest roots that are different from those in the store"),
        (snapshot(name="other"), "delta bundle 'main' has wasm resolvers or manifest roots that are different"),
        (snapshot(revision="0"), "delta bundle 'main' is for the revision `1`, but `0` is active"),
        (delta(change("upsert", "/a/x")), "a delta is applied to a snapshot"),
    ],
)
def test_a_delta_for_another_base_is_refused(base: Bundle, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        apply_delta(base, delta(change("upsert", "/a/x"), base_revision="1"))
    assert message in caught.value.message


def test_a_snapshot_is_no_delta() -> None:
    with pytest.raises(BundleError, match="a delta is applied to a snapshot"):
        apply_delta(snapshot(), snapshot())


def test_nothing_is_made_of_what_a_delta_cannot_change() -> None:
    base = snapshot()
    assert make_delta(base, snapshot(revision="2")) is None
    assert make_delta(base, snapshot({"a": 1}, name="other")) is None
    assert make_delta(base, snapshot({"a": 1}, roots=("a", "b"))) is None
    assert make_delta(base, snapshot({"a": 1}, more={"p.rego": "package a"})) is None
    assert make_delta(base, delta(change("upsert", "/a/x"))) is None


def test_what_was_made_is_read_as_it_was() -> None:
    made = make_delta(snapshot(), snapshot({"a": {"o": {"x/y": True, "~%": 1.5}}}, revision="2"))
    assert made is not None
    read = parse_bundle("main", write_archive(made.files))
    assert read.patch == made.patch
    assert read.manifest.metadata == {"base_revision": "1"}


def test_true_is_not_one() -> None:
    made = make_delta(snapshot({"a": {"x": 1, "y": [0]}}), snapshot({"a": {"x": True, "y": [False]}}))
    assert made is not None
    assert made.patch == (Operation(Op.UPSERT, ("a", "x"), True), Operation(Op.UPSERT, ("a", "y"), [False]))


def test_changes_stay_within_roots_below_the_top() -> None:
    old, new = snapshot({"a": {"b": {"x": 1}}}, roots=("a/b", "c/d/e")), snapshot({"c": {"d": {"e": [1]}}}, roots=("a/b", "c/d/e"))
    made = make_delta(old, new)
    assert made is not None
    assert made.patch == (Operation(Op.REMOVE, ("a", "b")), Operation(Op.UPSERT, ("c", "d", "e"), [1]))


KEYS = st.sampled_from(["a", "b", "x/y", "~", "%41", "0", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=10,
)


@given(JSON, JSON)
def test_a_delta_makes_the_new_of_the_old(old: Any, new: Any) -> None:
    before, after = snapshot({"a": old}), snapshot({"a": new}, revision="2")
    made = make_delta(before, after)
    if made is None:
        assert json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True) or '""' in json.dumps([old, new])
        return
    result = apply_delta(before, parse_bundle("main", write_archive(made.files)))
    assert json.dumps(result.data, sort_keys=True) == json.dumps(after.data, sort_keys=True)
    assert result.manifest == after.manifest


@given(JSON, st.lists(st.builds(Operation, st.sampled_from(Op), st.lists(KEYS, min_size=1, max_size=4).map(tuple), JSON), max_size=6))
def test_what_is_patched_is_never_changed(data: Any, operations: list[Operation]) -> None:
    document = {"a": data}
    before = copy.deepcopy((document, operations))
    with suppress(BundleError):
        apply_patch(document, operations)
    assert (document, operations) == before
