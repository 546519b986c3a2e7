from __future__ import annotations

import json
import time
from typing import Any

import pytest

from authz.bundle.errors import BundleError
from authz.bundle.manifest import Manifest, overlaps, parse_manifest, refuse_data_outside, refuse_package_outside


def manifest(**fields: Any) -> Manifest:
    return parse_manifest(json.dumps(fields))


def refusal(text: str) -> str:
    with pytest.raises(BundleError) as caught:
        parse_manifest(text)
    return caught.value.message


def test_a_manifest_is_read() -> None:
    read = manifest(revision="r", roots=["/a/", "b/c"], rego_version=1, file_rego_versions={"/x/*": 0}, metadata={"k": 1}, other=1)
    assert read == Manifest("r", ("a", "b/c"), 1, (("/x/*", 0),), {"k": 1})


def test_nothing_said_is_everything_owned() -> None:
    assert manifest() == manifest(revision=None, roots=None, rego_version=None, metadata=None) == Manifest("", ("",))


def test_a_manifest_is_shown_without_what_is_not_set() -> None:
    assert Manifest().document() == {"revision": "", "roots": [""]}
    full = {"revision": "r", "roots": ["a"], "rego_version": 0, "file_rego_versions": {"/x": 1}, "metadata": {"k": 1}}
    assert manifest(**full).document() == full


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ".manifest:1:1: not valid JSON"),
        ("[]", ".manifest: must be an object, not an array"),
        ('{"revision": 1}', ".manifest: `revision` must be a string, not a number"),
        ('{"revision": "a\\nb"}', ".manifest: `revision` has characters that cannot be shown"),
        ('{"roots": "a"}', ".manifest: `roots` must be an array, not a string"),
        ('{"roots": [1]}', ".manifest: `roots` must be strings, not a number"),
        ('{"roots": ["c/d", "c"]}', "manifest has overlapped roots: 'c/d' and 'c'"),
        ('{"roots": ["a", "a/"]}', "manifest has overlapped roots: 'a' and 'a'"),
        ('{"roots": ["a/b", ""]}', "manifest has overlapped roots: 'a/b' and ''"),
        ('{"rego_version": 2}', "unknown bundle rego-version 2 for 'rego_version'"),
        ('{"rego_version": true}', ".manifest: `rego_version` must be a number, not a boolean"),
        ('{"file_rego_versions": {"/x.rego": 3}}', "unknown bundle rego-version 3 for '/x.rego'"),
        ('{"file_rego_versions": {"[": 0}}', "failed to compile glob `[`"),
        ('{"wasm": [{"entrypoint": "a/b", "module": "/policy.wasm"}]}', ".manifest: `wasm` entry points are not supported"),
        ('{"revision": "a", "revision": "b"}', ".manifest: key `revision` appears twice in one object"),
        ("[" * 100_000, ".manifest: nested deeper than 128 levels"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_roots_that_share_only_the_beginning_of_a_name_do_not_overlap() -> None:
    assert manifest(roots=["a/b", "a/bc", "ab"]).roots == ("a/b", "a/bc", "ab")


def test_many_roots_are_compared_in_no_time() -> None:
    started = time.monotonic()
    assert not list(overlaps((index, f"a/{index}") for index in range(100_000)))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("path", "version"), [("x.rego", 0), ("a/x.rego", 1), ("b/c/d.rego", 0), ("b.rego", None), ("q[1].rego", 1), ("q1.rego", None)]
)
def test_the_version_of_a_file_is_its_own_entrys_or_that_of_the_first_glob(path: str, version: int | None) -> None:
    read = manifest(file_rego_versions={"/a/*": 1, "/b/*.rego": 0, "/x.rego": 0, "/q[1].rego": 1})
    assert read.version_of(path) == (version if path != "q1.rego" else 1)


def test_the_manifests_version_is_that_of_all_other_files() -> None:
    assert manifest(rego_version=0, file_rego_versions={"/x.rego": 1}).version_of("y.rego") == 0


@pytest.mark.parametrize("package", [("a",), ("a", "b"), ("a", "b", "c"), ("x-y",)])
def test_a_package_within_the_roots_is_permitted(package: tuple[str, ...]) -> None:
    refuse_package_outside(manifest(roots=["a", "x-y"]), package, "f.rego")


@pytest.mark.parametrize(("roots", "package"), [(["a/b"], ("a",)), (["a"], ("ab",)), ([], ("a",)), (["a"], ("envoy", "authz"))])
def test_a_package_outside_of_the_roots_is_refused(roots: list[str], package: tuple[str, ...]) -> None:
    with pytest.raises(BundleError) as caught:
        refuse_package_outside(manifest(roots=roots), package, "f.rego")
    shown = f"manifest roots [{' '.join(roots)}] do not permit 'package {'.'.join(package)}' in module '/f.rego'"
    assert caught.value.message == shown


@pytest.mark.parametrize("data", [{}, {"c": {}}, {"c": {"d": 1}}, {"c": {"d": {"e": 1}}}, {"c": {"d": None}, "x": {"y": {}}}])
def test_data_at_or_above_a_root_is_permitted(data: dict[str, Any]) -> None:
    refuse_data_outside(manifest(roots=["c/d", "x/y"]), data)


@pytest.mark.parametrize(
    ("data", "path"), [({"c": 1}, "/c"), ({"c": {"e": 1}}, "/c/e"), ({"z": {}}, "/z"), ({"c": {"d": 1}, "x": []}, "/x")]
)
def test_data_outside_of_the_roots_is_refused(data: dict[str, Any], path: str) -> None:
    with pytest.raises(BundleError) as caught:
        refuse_data_outside(manifest(roots=["c/d", "x/y"]), data)
    assert caught.value.message == f"manifest roots [c/d x/y] do not permit data at path '{path}' (hint: check bundle directory structure)"
