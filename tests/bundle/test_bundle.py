"""Bundles: what they hold, what their roots permit, how several become one policy, and what OPA has written."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.bundle.bundle import Bundle, parse_bundle
from authz.bundle.delta import apply_delta
from authz.bundle.errors import BundleError
from authz.bundle.keys import Key, Keys
from authz.bundle.signatures import Verification
from authz.bundle.sources import combine
from tests.bundle.archives import WRITTEN_BY_OPA, archive

UNSIGNED = Verification(Keys(), 0)
PUBLIC = (WRITTEN_BY_OPA / "public.pem").read_text()


def bundle(files: dict[str, Any], name: str = "b", rego_version: int = 1) -> Bundle:
    return parse_bundle(name, archive(files), verification=UNSIGNED, rego_version=rego_version)


def refusal(files: dict[str, Any]) -> str:
    with pytest.raises(BundleError) as caught:
        bundle(files)
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "verification", "modules"),
    [
        ("plain", UNSIGNED, ["src/authz/authz.rego"]),
        ("signed", Verification(Keys({"k": Key("k", PUBLIC)}), 0, key_id="k"), ["src/authz/authz.rego"]),
        ("hs", Verification(Keys({"k": Key("k", "secretsecretsecretsecretsecretse", "HS256")}), 0, key_id="k"), ["src/authz/authz.rego"]),
        ("optimised", UNSIGNED, ["optimized/authz.rego"]),
    ],
)
def test_what_opa_builds_is_loaded_and_decides(name: str, verification: Verification, modules: list[str]) -> None:
    loaded = parse_bundle(name, (WRITTEN_BY_OPA / f"{name}.tar.gz").read_bytes(), verification=verification)
    assert list(loaded.modules) == modules
    assert list(loaded.tests) == ["src/authz/authz_test.rego"]
    assert loaded.manifest.metadata == {"team": "x"}
    source = combine([loaded])
    policy = rego.compile(source.modules, source.data, rego_version=source.rego_versions)
    assert policy.entrypoint("authz/allow").decide({"user": "ann"}) is True
    assert policy.entrypoint("authz/allow").decide({"user": "bob"}) is False


def test_what_opa_builds_of_rego_v0_says_so() -> None:
    loaded = parse_bundle("v0", (WRITTEN_BY_OPA / "v0.tar.gz").read_bytes(), verification=UNSIGNED)
    assert {path: loaded.version_of(path) for path in loaded.modules} == {"v0/old.rego": 0}
    source = combine([loaded])
    assert rego.compile(source.modules, source.data, rego_version=source.rego_versions).entrypoint("old/allow").decide({"x": 1}) is True


def test_modules_of_both_versions_stand_in_one_bundle() -> None:
    manifest = {"rego_version": 1, "file_rego_versions": {"/old/*": 0}}
    loaded = bundle({".manifest": manifest, "old/a/a.rego": "package a\n\np { true }", "b.rego": "package b\n\np if true"})
    assert {path: loaded.version_of(path) for path in loaded.modules} == {"old/a/a.rego": 0, "b.rego": 1}


@pytest.mark.parametrize(("version", "given", "expected"), [(None, 0, 0), (None, 1, 1), (1, 0, 1), (0, 1, 0)])
def test_a_version_in_the_manifest_wins(version: int | None, given: int, expected: int) -> None:
    files = {".manifest": {} if version is None else {"rego_version": version}, "a.rego": "package a"}
    assert bundle(files, rego_version=given).version_of("a.rego") == expected


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("[", r".manifest:1:2: not valid JSON"),
        ("[]", ".manifest: must be an object"),
        ('{"revision": 1}', "`revision` must be a string"),
        ('{"roots": "a"}', "`roots` must be an array"),
        ('{"roots": [1]}', "`roots` must be strings, not a number"),
        ('{"roots": ["a", "a/b"]}', "manifest has overlapped roots: 'a' and 'a/b'"),
        ('{"rego_version": 2}', "unknown bundle rego-version 2"),
        ('{"file_rego_versions": {"*": true}}', "must be 0 or 1, not a boolean"),
        ('{"wasm": [{"module": "x"}]}', "`wasm` entry points are not supported"),
    ],
)
def test_a_bad_manifest_is_refused(manifest: str, message: str) -> None:
    assert message in refusal({".manifest": manifest})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {".manifest": {"roots": ["a"]}, "f.rego": "package b.c"},
            "manifest roots [a] do not permit 'package b.c' in module '/f.rego'",
        ),
        (
            {".manifest": {"roots": ["a/b"]}, "data.json": {"a": {"c": 1}}},
            "manifest roots [a/b] do not permit data at path '/a/c' (hint: check bundle directory structure)",
        ),
        ({".manifest": {"roots": ["a"]}, "data.json": {"x": 1}}, "do not permit data at path '/x'"),
        ({"data.json": {"a": 1}, "a/data.json": {"b": 1}}, "data.json: `data.a` is already set by a/data.json"),
        ({"data.json": {"a": {"b": 1}}, "a/data.yaml": "b: 1"}, "`data.a.b` is already set by"),
        ({"data.json": "[1]"}, "the data document at the root must be an object"),
        ({"data.json": '{"a": 1, "a": 2}'}, "key `a` appears twice"),
        ({"a.rego": b"package \xff"}, "a.rego:1:9: not valid UTF-8"),
        ({"a/.manifest": "{}", ".manifest": "{}"}, "more than one manifest"),
    ],
)
def test_what_does_not_fit_together_is_refused(files: dict[str, Any], message: str) -> None:
    assert message in refusal(files)


def test_data_is_rooted_by_folder_without_the_dots_in_front_of_it() -> None:
    assert bundle({"data.json": {"a": {"x": 1}}, "a/data.yaml": "y: 2", ".hidden/data.json": {"z": 3}}).data == {
        "a": {"x": 1, "y": 2},
        "hidden": {"z": 3},
    }


# Several bundles


def test_bundles_with_roots_of_their_own_are_one_policy() -> None:
    one = bundle({".manifest": {"revision": "r1", "roots": ["a"]}, "a.rego": "package a\n\np := data.b.x"}, "one")
    two = bundle({".manifest": {"revision": "r2", "roots": ["b"]}, "b/data.json": {"x": 7}}, "two")
    source = combine([two, one])
    assert source.revision == "one=r1,two=r2"
    assert list(source.modules) == ["one/a.rego"]
    policy = rego.compile(source.modules, source.data, rego_version=source.rego_versions)
    assert policy.entrypoint("a/p").decide({}) == 7
    assert policy.query("data.system.bundles.two.manifest.revision = x") == [{"x": "r2"}]


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        (
            (["a"], ["a"]),
            "detected overlapping roots in manifests for these bundles: [one, two] (root a is in multiple bundles)",
        ),
        ((["x"], ["x/y"]), "[one, two] (x overlaps x/y)"),
        (
            ([""], ["a"]),
            "bundles [one, two] have overlapping roots and cannot be activated simultaneously because bundle(s) [one] specify empty root "
            "paths ('') which overlap with any other bundle root",
        ),
    ],
)
def test_bundles_that_own_the_same_data_are_refused(roots: tuple[list[str], list[str]], message: str) -> None:
    one, two = (bundle({".manifest": {"roots": given}}, name) for name, given in zip(("one", "two"), roots, strict=True))
    with pytest.raises(BundleError) as caught:
        combine([one, two])
    assert message in caught.value.message


def test_names_that_only_begin_alike_do_not_overlap() -> None:
    combine([bundle({".manifest": {"roots": ["ab"]}}, "one"), bundle({".manifest": {"roots": ["a"]}}, "two")])


# Deltas

BASE: dict[str, Any] = {
    ".manifest": {"revision": "r1", "roots": ["a"]},
    "a.rego": "package a.rules",
    "data.json": {"a": {"x": 1, "list": [1, 2], "deep": {"y": {"z": 1}}}},
}


def delta(*operations: dict[str, Any], roots: list[str] | None = None) -> Bundle:
    return bundle({".manifest": {"revision": "r2", "roots": roots or ["a"]}, "patch.json": {"data": list(operations)}})


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ({"op": "upsert", "path": "/a/x", "value": 2}, {"x": 2, "list": [1, 2], "deep": {"y": {"z": 1}}}),
        ({"op": "upsert", "path": "a/new/er", "value": 2}, {"x": 1, "list": [1, 2], "deep": {"y": {"z": 1}}, "new": {"er": 2}}),
        ({"op": "upsert", "path": "/a/list/1", "value": 9}, {"x": 1, "list": [1, 9, 2], "deep": {"y": {"z": 1}}}),
        ({"op": "upsert", "path": "/a/list/-", "value": 9}, {"x": 1, "list": [1, 2, 9], "deep": {"y": {"z": 1}}}),
        ({"op": "replace", "path": "/a/list/0", "value": 9}, {"x": 1, "list": [9, 2], "deep": {"y": {"z": 1}}}),
        ({"op": "remove", "path": "/a/list/0"}, {"x": 1, "list": [2], "deep": {"y": {"z": 1}}}),
        ({"op": "remove", "path": "/a/deep/y/z"}, {"x": 1, "list": [1, 2], "deep": {"y": {}}}),
        ({"op": "upsert", "path": "/a/~1~0%2f", "value": 2}, {"x": 1, "list": [1, 2], "deep": {"y": {"z": 1}}, "/~/": 2}),
    ],
)
def test_a_delta_changes_data(operation: dict[str, Any], data: dict[str, Any]) -> None:
    base = bundle(BASE)
    changed = apply_delta(base, delta(operation))
    assert changed.data == {"a": data}
    assert (changed.manifest.revision, list(changed.modules)) == ("r2", ["a.rego"])
    assert base.data == BASE["data.json"]
    assert changed.digest != base.digest


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/a/none", "value": 1},
        {"op": "remove", "path": "/a/none"},
        {"op": "remove", "path": "/a/list/2"},
        {"op": "upsert", "path": "/a/list/3", "value": 1},
        {"op": "upsert", "path": "/a/x/y", "value": 1},
        {"op": "remove", "path": "/a/list/x"},
    ],
)
def test_a_delta_for_other_data_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"nothing at this path|is no index|leads through a value"):
        apply_delta(bundle(BASE), delta(operation))


def test_a_delta_of_other_roots_is_refused() -> None:
    with pytest.raises(BundleError, match="manifest roots that are different from those in the store"):
        apply_delta(bundle(BASE), delta({"op": "upsert", "path": "/b/x", "value": 1}, roots=["b"]))


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"data": [{"op": "move", "path": "/a"}]}, "bad patch operation: move"),
        ({"data": [{"op": "upsert", "path": "/", "value": 1}]}, "is the whole document"),
        ({"data": [{"op": "upsert", "path": "/c/x", "value": 1}]}, "do not permit data patch at path 'c/x'"),
        ({"data": ["x"]}, "operation 0 must be an object with `op`, `path` and `value`"),
        ({"data": {}}, "must be an object whose `data` is an array"),
        ("{", "patch.json:1:2: not valid JSON"),
    ],
)
def test_a_bad_patch_is_refused(patch: Any, message: str) -> None:
    assert message in refusal({".manifest": {"roots": ["a"]}, "patch.json": patch})


def test_a_delta_has_nothing_but_its_patch() -> None:
    patch = {"data": [{"op": "upsert", "path": "/a", "value": 1}]}
    assert "expected to contain only patch file" in refusal({"patch.json": patch, "a.rego": "package a"})


def test_a_patch_without_operations_is_refused() -> None:
    assert "has no operation" in refusal({"patch.json": {"data": []}})
