"""Every built-in is declared, as OPA declares it."""

import json

import pytest

from authz.rego.builtins import BUILTINS
from authz.rego.builtins.registry import INDEX, INTEGER, NUMBER
from authz.rego.types.model import ArrayType, ObjectType, ScalarType, SetType, Type, UnionType
from authz.rego.types.signatures import signature
from authz.rego.types.texts import type_text, types_text
from tests.shared import shared_path

# Their results, and that of `object.subset`, were `any` until 1.20.
NOW_OBJECTS = {
    "json.filter", "json.remove", "object.filter", "object.remove", "object.subset", "object.union", "object.union_n",
}  # fmt: skip


def kinds(kind: Type) -> set[str]:
    """Return the names of the types that values of a type have."""
    if isinstance(kind, UnionType):
        return set().union(*map(kinds, kind.members)) if kind.members else {"any"}
    names = {ArrayType: "array", ObjectType: "object", SetType: "set"}
    return {kind.name if isinstance(kind, ScalarType) else names[type(kind)]}


@pytest.mark.parametrize("name", sorted(set(BUILTINS) - {"print"}))
def test_a_built_in_takes_when_it_runs_what_its_signature_says(name: str) -> None:
    declared = signature(name)
    assert declared is not None
    assert len(declared.params) == len(BUILTINS[name].params)
    assert len(declared.labels) == len(declared.params) + 1
    for wanted, taken in zip(declared.params, BUILTINS[name].params, strict=True):
        names = {NUMBER if name in (INDEX, INTEGER) else name for name in ((taken,) if isinstance(taken, str) else taken)}
        assert "any" in names or "any" in kinds(wanted) or kinds(wanted) <= names
    assert BUILTINS[name].result in {"any", *kinds(declared.result)} or kinds(declared.result) == {"any"}


def test_signatures_are_those_of_opa() -> None:
    declared = json.loads(shared_path("rego-conformance", "builtins.json").read_text())
    for name, wanted in declared.items():
        found = signature(name)
        if found is not None:
            assert [type_text(param) for param in found.params] == wanted["args"], name
            if name not in NOW_OBJECTS:
                assert type_text(found.result) == wanted["result"], name
    assert [name for name in declared if signature(name) is None] == ["test.sleep"]


def test_labels_are_those_of_the_messages() -> None:
    declared = signature("regex.match")
    assert declared is not None
    assert types_text((*declared.params, declared.result), declared.labels) == "(pattern: string, value: string, result: boolean)"
    assert signature("no.such.function") is None
