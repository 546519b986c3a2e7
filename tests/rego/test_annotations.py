"""METADATA blocks: what they hold, where they belong, what is wrong with them."""

from __future__ import annotations

import pytest

from authz.rego import nodes, parser
from authz.rego.errors import CompileError


def module(source: str) -> nodes.Module:
    return parser.parse_module("a.rego", source)


def error(source: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        module(source)
    return caught.value


def block(*lines: str) -> str:
    return "".join(f"{line}\n" for line in ("# METADATA", *(f"# {line}" for line in lines)))


def test_a_block_belongs_to_the_statement_that_follows() -> None:
    found = module(f"{block('title: the package')}package a\n\n{block('title: first')}p := 1\n\nq := 2\n\n{block('title: third')}\nr := 3")
    assert [(each.scope, each.document["title"]) for each in found.annotations] == [
        ("package", "the package"),
        ("rule", "first"),
        ("rule", "third"),
    ]
    assert [[each.document["title"] for each in rule.annotations] for rule in found.rules] == [["first"], [], ["third"]]
    assert str(found.rules[0].annotations[0].location) == "a.rego:5:1"


def test_document_scope_reaches_every_rule_of_the_path() -> None:
    found = module(f"package a\n{block('scope: document', 'title: t')}p.x contains 1\n\np.x contains 2\n\np.y := 3")
    assert [[each.document["title"] for each in rule.annotations] for rule in found.rules] == [["t"], ["t"], []]


def test_an_entrypoint_is_of_document_scope() -> None:
    (annotation,) = module(f"package a\n{block('entrypoint: true')}p := 1").annotations
    assert (annotation.scope, annotation.document) == ("document", {"scope": "document", "entrypoint": True})


def test_all_keys_take_opas_shape() -> None:
    lines = [
        "scope: rule",
        "title: a title",
        "description: |",
        "  two",
        "  lines",
        "organizations: [one, 2]",
        "related_resources:",
        "- https://example.com",
        "- {ref: https://example.org, description: more}",
        "authors:",
        "- Ann Other <ann@example.com>",
        "- {name: Bob}",
        "schemas:",
        "- input: schema.request",
        "- data.x: {type: object}",
        "custom: {level: 3, ratio: 0.5, on: yes, since: 2024-01-01, nothing: ~, 'yes': true, hex: 0x1f, oct: 0o17}",
        "unknown: dropped",
    ]
    (annotation,) = module(f"package a\n{block(*lines)}p := 1").annotations
    assert annotation.document == {
        "scope": "rule",
        "title": "a title",
        "description": "two\nlines\n",
        "organizations": ["one", "2"],
        "related_resources": [{"ref": "https://example.com"}, {"ref": "https://example.org", "description": "more"}],
        "authors": [{"name": "Ann Other", "email": "ann@example.com"}, {"name": "Bob"}],
        "schemas": [{"path": ["input"], "schema": ["schema", "request"]}, {"path": ["data", "x"], "definition": {"type": "object"}}],
        "custom": {"level": 3, "ratio": 0.5, "on": "yes", "since": "2024-01-01", "nothing": None, "yes": True, "hex": 31, "oct": 15},
    }


def test_a_block_ends_at_an_empty_line_and_at_a_comment_that_is_indented() -> None:
    for gap in ("\n# : no yaml :\n", "  # : no yaml :\n"):
        (annotation,) = module(f"package a\n{block('title: t')}{gap}p := 1").annotations
        assert annotation.document["title"] == "t"


def test_other_comments_are_no_annotations() -> None:
    assert module("# metadata\n# {{\npackage a\n# not METADATA\n# [\np := 1").annotations == ()


@pytest.mark.parametrize(
    ("lines", "row", "message"),
    [
        (["title: [1"], 3, "yaml: "),
        (["title: t", "- x"], 4, "yaml: "),
        ([], 2, "expected METADATA block, found whitespace"),
        (["just text"], 3, "a METADATA block must be a YAML mapping"),
        (["title: [x]"], 3, "invalid title definition: must be a string"),
        (["entrypoint: sure"], 3, "invalid entrypoint definition: must be a boolean"),
        (["organizations: x"], 3, "invalid organizations definition: must be a list"),
        (["custom: [x]"], 3, "invalid custom definition: must be a map"),
        (["authors: [{}]"], 3, "invalid author definition: 'name' and/or 'email' values required in object"),
        (["authors: ['']"], 3, "invalid author definition: author is an empty string"),
        (["authors: [1]"], 3, "invalid author definition: invalid value type, must be string or map"),
        (["related_resources: [{}]"], 3, "invalid related-resource definition: 'ref' value required in object"),
        (["related_resources: [1]"], 3, "invalid related-resource definition: invalid value type, must be string or map"),
        (["schemas: [{input: other.x}]"], 3, "invalid schema reference"),
        (["schemas: [{input: 1}]"], 3, 'invalid schema declaration for path "input"'),
        (["custom: {[1]: 2}"], 3, "invalid map key type(s)"),
        (["custom: !!python/object:os.system {}", "title: *nowhere"], 4, "yaml: "),
    ],
)
def test_bad_blocks_are_errors_at_their_line(lines: list[str], row: int, message: str) -> None:
    found = error(f"package a\n{block(*lines)}p := 1")
    assert found.message.startswith(message)
    assert (found.code, found.location.row) == ("rego_parse_error", row)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"package a\n{block('scope: package')}p := 1", "annotation scope 'package' must be applied to package (have rule)"),
        (f"{block('scope: rule')}package a", "annotation scope 'rule' must be applied to rule (have package)"),
        (f"package a\n{block('title: t')}import data.x", "invalid annotation scope 'import'"),
        (f"package a\n{block('scope: other')}p := 1", "invalid annotation scope 'other'"),
        (f"package a\np := 1\n{block('title: t')}", "invalid annotation scope ''"),
        (
            f"package a\n{block('scope: rule', 'entrypoint: true')}p := 1",
            "annotation entrypoint applied to non-document or package scope 'rule'",
        ),
    ],
)
def test_misplaced_blocks_are_errors(source: str, message: str) -> None:
    assert error(source).message == message


def test_yaml_cannot_blow_up() -> None:
    bomb = ["custom:", "  a: &a [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"  {name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)]
    assert "too many values" in error(f"package a\n{block(*bomb)}p := 1").message
    assert error(f"package a\n{block('custom: ' + '[' * 5000)}p := 1").message.startswith("yaml: ")
    assert "too deeply" in error(f"package a\n{block('custom: {a: ' + '[' * 80 + ']' * 80 + '}')}p := 1").message
    assert "too deeply" in error(f"package a\n{block('custom: &a {b: *a}')}p := 1").message
