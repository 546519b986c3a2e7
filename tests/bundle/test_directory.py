from __future__ import annotations

import re
from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.bundle import PolicySource, SourceError, SourceFile, policy_source
from authz.bundle.directory import is_data, is_module
from authz.rego.values import MAX_DEPTH


def file(path: str, content: str | bytes = "", root: str = "policies") -> SourceFile:
    return SourceFile(f"{root}/{path}", PurePosixPath(path), content if isinstance(content, bytes) else content.encode())


def source(*files: SourceFile) -> PolicySource:
    return policy_source(files)


def test_modules_are_named_as_a_person_would_open_them() -> None:
    assert source(file("a.rego", "package a"), file("b/c.rego", "package c")).modules == {
        "policies/a.rego": "package a",
        "policies/b/c.rego": "package c",
    }


def test_data_is_rooted_by_its_folder_and_merged() -> None:
    files = [
        file("data.json", '{"a": {"x": 1.5}}'),
        file("a/data.yaml", "y: [1]"),
        file("a/b/data.yml", "true"),
        file("c.d/data.json", "null"),
    ]
    assert source(*files).data == {"a": {"x": Decimal("1.5"), "y": [1], "b": True}, "c.d": None}


def test_no_data_is_an_empty_object() -> None:
    assert source(file("a.rego")).data == {}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [file("data.json", '{"a": {"b": 1}}'), file("a/data.json", '{"b": 1}')],
            "policies/data.json: `data.a.b` is already set by policies/a/data.json",
        ),
        (
            [file("data.json", '{"a": 1}'), file("data.yaml", "a: {b: 1}")],
            "policies/data.yaml: `data.a` is already set by policies/data.json",
        ),
        (
            [file("a/data.json", '{"b": {"c": [1]}}'), file("a/b/c/data.json", "{}")],
            "policies/a/data.json: `data.a.b.c` is already set by policies/a/b/c/data.json",
        ),
        ([file("data.json", "[]")], "policies/data.json: the data document at the root must be an object"),
        ([file("data.json", "{\n]")], "policies/data.json:2:1: not valid JSON"),
        ([file("x/data.yaml", "a: [")], "policies/x/data.yaml:2:1: not valid YAML"),
        ([file("a.rego", b"package a\n# \xff")], "policies/a.rego:2:3: not valid UTF-8"),
        ([file("data.json", b'{"a": "\xc3"}')], "policies/data.json:1:8: not valid UTF-8"),
        (
            [file("data.json", '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))],
            f"policies/data.json: nested deeper than {MAX_DEPTH} levels",
        ),
        ([file("/".join("f" * (MAX_DEPTH - 2)) + "/data.json", "[[[[]]]]")], f"data.json: nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_place(files: list[SourceFile], message: str) -> None:
    with pytest.raises(SourceError, match=re.escape(message)):
        source(*files)


def test_a_merge_into_an_aliased_mapping_changes_only_one_place() -> None:
    merged = source(file("data.yaml", "a: &x {k: {}}\nb: *x"), file("b/k/data.json", '{"new": 1}')).data
    assert merged == {"a": {"k": {}}, "b": {"k": {"new": 1}}}


def test_tests_do_not_serve() -> None:
    assert [is_module(name) for name in ("a.rego", "a_test.rego", "a.json", "rego")] == [True, False, False, False]
    assert [is_data(name) for name in ("data.json", "data.yaml", "data.yml", "other.json", "data.toml")] == [True, True, True, False, False]


contents = st.dictionaries(
    st.sampled_from(["a.rego", "b.rego", "x/a.rego", "x/data.json"]), st.sampled_from(["{}", '{"q": 1}', '{"q": 2}'])
)


@given(contents, contents)
def test_the_revision_names_the_contents_and_nothing_else(one: dict[str, str], two: dict[str, str]) -> None:
    def revision(files: dict[str, str], root: str, backwards: bool = False) -> str:
        listed = [file(path, content, root) for path, content in files.items()]
        return policy_source(reversed(listed) if backwards else listed).revision

    assert revision(one, "here") == revision(one, "/somewhere/else", backwards=True)
    assert (revision(one, "here") == revision(two, "here")) == (one == two)
