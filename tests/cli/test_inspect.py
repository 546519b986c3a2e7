from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz.cli.main import main
from tests.bundle.archives import WRITTEN_BY_OPA, archive
from tests.serving import run_authz, write

ANNOTATED = """# METADATA
# scope: package
# title: The package
# description: what it
#  does
# authors:
# - name: A
#   email: a@b.c
# organizations:
# - Org
# related_resources:
# - ref: https://x.y/z
#   description: d
# schemas:
# - input: schema.s
# custom:
#  z: [1,2]
package an

# METADATA
# title: r1
# entrypoint: true
r1 := 1

# METADATA
# scope: document
# description: r2s
r2 contains 1

# METADATA
# title: one
r2 contains 2
"""


def inspect(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, args)])


def shown(*args: str | Path) -> str:
    result = inspect(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def document(*args: str | Path) -> Any:
    return json.loads(shown(*args, "--format", "json"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "b.tar.gz"
    manifest = {"revision": "q", "roots": ["a", "b"], "rego_version": 1, "file_rego_versions": {"/x/*": 0}, "metadata": {"k": 1}}
    path.write_bytes(
        archive(
            {"a/data.json": '{"x": 1}', "x/y.rego": "package b\n\nallow { true }", "z.rego": "package b", ".manifest": json.dumps(manifest)}
        )
    )
    return path


def test_a_bundle_is_shown_as_opa_shows_it(bundle: Path) -> None:
    assert shown(bundle) == (
        "MANIFEST:\n"
        "┌──────────────┬─────────┐\n"
        "│    FIELD     │  VALUE  │\n"
        "├──────────────┼─────────┤\n"
        "│ Rego Version │ 1       │\n"
        "│ Revision     │ q       │\n"
        "│ Roots        │ a       │\n"
        "│              │ b       │\n"
        '│ Metadata     │ {"k":1} │\n'
        "└──────────────┴─────────┘\n"
        "NAMESPACES:\n"
        "┌───────────┬──────────────┐\n"
        "│ NAMESPACE │     FILE     │\n"
        "├───────────┼──────────────┤\n"
        "│ data.a    │ /a/data.json │\n"
        "│ data.b    │ /x/y.rego    │\n"
        "│           │ /z.rego      │\n"
        "└───────────┴──────────────┘\n"
    )


def test_json_has_the_shape_of_opas(bundle: Path) -> None:
    assert document(bundle) == {
        "manifest": {"revision": "q", "roots": ["a", "b"], "rego_version": 1, "file_rego_versions": {"/x/*": 0}, "metadata": {"k": 1}},
        "signatures_config": {},
        "namespaces": {"data.a": ["/a/data.json"], "data.b": ["/x/y.rego", "/z.rego"]},
    }


def test_a_directory_is_shown_by_its_own_paths(tmp_path: Path) -> None:
    write(tmp_path, {"p.rego": "package a.b", "x/data.yaml": "y: 1"})
    assert document(tmp_path)["namespaces"] == {"data.a.b": [f"{tmp_path}/p.rego"], "data.x": [f"{tmp_path}/x/data.yaml"]}


def test_annotations_are_listed(tmp_path: Path) -> None:
    write(tmp_path, {"an.rego": ANNOTATED})
    text = shown(tmp_path / "an.rego", "-a")
    assert text.startswith("NAMESPACES:\n")
    assert text.partition("ANNOTATIONS:\n")[2] == (
        f"The package\n===========\n\nwhat it does\n\nPackage:  an\nLocation: {tmp_path}/an.rego:18\nScope: package\n\n"
        "Organizations:\n Org\n\nAuthors:\n A <a@b.c>\n\nSchemas:\n input: schema.s\n\n"
        "Related Resources:\n https://x.y/z d\n\nCustom:\n z: [1,2]\n\n"
        f"r1\n==\n\nPackage:  an\nRule:     r1\nLocation: {tmp_path}/an.rego:23\nScope: document\nEntrypoint: true\n\n"
        f"an.r2\n=====\n\nr2s\n\nPackage:  an\nRule:     r2\nLocation: {tmp_path}/an.rego:28\nScope: document\n\n"
        f"one\n===\n\nPackage:  an\nRule:     r2\nLocation: {tmp_path}/an.rego:32\nScope: rule\n\n"
    )


def test_annotations_in_json_have_references_and_places(tmp_path: Path) -> None:
    write(tmp_path, {"an.rego": ANNOTATED})
    package, rule, *_ = document(tmp_path / "an.rego", "--annotations")["annotations"]
    assert package["annotations"]["schemas"] == [
        {"path": [{"type": "var", "value": "input"}], "schema": [{"type": "var", "value": "schema"}, {"type": "string", "value": "s"}]}
    ]
    assert rule == {
        "annotations": {"entrypoint": True, "scope": "document", "title": "r1"},
        "location": {"file": f"{tmp_path}/an.rego", "row": 23, "col": 1},
        "path": [{"type": "var", "value": "data"}, {"type": "string", "value": "an"}, {"type": "string", "value": "r1"}],
    }


def test_a_signature_is_shown_and_not_believed() -> None:
    path = WRITTEN_BY_OPA / "signed-rs256.tar.gz"
    assert "│ Key       │       │\n│ Algorithm │ RS256 │\n│ Scope     │ write │\n" in shown(path)
    assert document(path)["signatures_config"]["plugin"] == "_default"


def test_a_delta_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "d.tar.gz"
    path.write_bytes(archive({"patch.json": '{"data": [{"op": "upsert", "path": "/a/b", "value": 1}]}'}))
    assert "PATCH:\n┌───────────┬──────┐\n│ OPERATION │ PATH │\n├───────────┼──────┤\n│ upsert    │ /a/b │\n" in shown(path)


def test_what_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    write(tmp_path, {"bad.rego": "package a\n\np if {", "x.tar.gz": "x"})
    for name, message in (("bad.rego", "bad.rego:3:"), ("nothing", "no such file or directory"), ("x.tar.gz", "gzip: invalid header")):
        result = inspect(tmp_path / name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr


def test_policies_of_rego_v0_are_read_as_such(tmp_path: Path) -> None:
    write(tmp_path, {"old.rego": "package a\n\np { true }\n"})
    assert inspect(tmp_path).exit_code == 1
    assert inspect(tmp_path, "--v0-compatible").exit_code == 0


def test_the_decision_table_of_a_rule_is_shown_if_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "authz.tar.gz"
    rules = "package envoy.authz\n\ndefault allow := false\n" + "".join(f'\nallow if input.request.path == "/{n}"\n' for n in range(9))
    file.write_bytes(archive({"a.rego": rules}))
    shown = run_authz("inspect", "--table", "envoy/authz/allow", file)
    assert (shown.returncode, "TABLE:\n" in shown.stdout, "a.rego:5" in shown.stdout) == (0, True, True)
    assert run_authz("inspect", "--table", "envoy/authz/allow", "-f", "json", file).returncode == 2
    assert "no/such/rule" in run_authz("inspect", "--table", "no/such/rule", file).stderr
