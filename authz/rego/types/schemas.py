"""The schemas that METADATA blocks name: what they tell of the input and base data in the rules around which they stand.

A schema never alters a decision: it only lets the compiler refuse what does not fit. Knows which schemas hold where;
annotations themselves are `metadata`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from authz.rego import errors
from authz.rego.builtins.json_schema_keywords import SchemaError
from authz.rego.builtins.json_schema_parser import parse_schema
from authz.rego.errors import CompileError, Diagnostic
from authz.rego.metadata import Annotations
from authz.rego.nodes import NOWHERE, Location, Rule, Scalar
from authz.rego.types.documents import DocumentTypes, Path
from authz.rego.types.json_schemas import type_of_schema
from authz.rego.types.model import ANY, ObjectType, Type, object_
from authz.rego.values import Value, from_json


@dataclass(frozen=True, slots=True)
class Schemas:
    """That schemas count: those written in annotations, and these, which an annotation may name.

    Each has the steps of its name below `schema`. One without any is that of the input, in all rules and queries. Without
    `documents` (None), names say nothing.
    """

    documents: Mapping[tuple[str, ...], Value] | None = None


class SchemaTypes:
    """Makes the types that hold in a rule with schemas."""

    def __init__(self, schemas: Schemas, annotations: Annotations) -> None:
        self.documents = schemas.documents
        self.annotations = annotations
        self._types: dict[object, Type] = {}
        self._inputs: dict[tuple[DocumentTypes, tuple[tuple[Path, Type], ...]], DocumentTypes] = {}

    def put_input(self, documents: DocumentTypes) -> None:
        """Set the type of the input, if there is a schema for it. Raises CompileError."""
        if self.documents and () in self.documents:
            try:
                documents.put(("input",), self._type((), self.documents[()]))
            except SchemaError as error:
                raise _error([error], NOWHERE) from None

    def over(self, documents: DocumentTypes, rule: Rule, path: Path) -> DocumentTypes:
        """Return the types of documents in a rule at a path below `data`. Raises CompileError."""
        typed: list[tuple[Path, Type]] = []
        faults: list[SchemaError] = []
        for entry in self._entries(rule, path):
            try:
                kind = self._entry_type(entry)
            except SchemaError as error:
                faults.append(error)
                continue
            if kind is not None:
                typed.append((tuple(entry["path"]), kind))
        if faults:
            raise _error(faults, rule.location)
        return self._overlay(documents, tuple(typed)) if typed else documents

    def _entries(self, rule: Rule, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the entries that hold in a rule; of two for one document, the later counts."""
        for annotation in reversed(self.annotations.of_rule(rule, path)):
            yield from annotation.document.get("schemas", ())

    def _entry_type(self, entry: dict[str, Any]) -> Type | None:
        if "definition" in entry:
            return self._type(id(entry), from_json(entry["definition"]))
        if self.documents is None:
            return None
        name = tuple(entry["schema"][1:])
        if name not in self.documents:
            raise UndefinedSchemaError(f"undefined schema: {'.'.join(entry['schema'])}")
        return self._type(name, self.documents[name])

    def _type(self, key: object, document: Value) -> Type:
        if key not in self._types:
            self._types[key] = type_of_schema(parse_schema(document))
        return self._types[key]

    def _overlay(self, documents: DocumentTypes, typed: tuple[tuple[Path, Type], ...]) -> DocumentTypes:
        """Return the documents with types over them; one tree for all rules with the same types of the input."""
        if not all(path[0] == "input" for path, _ in typed):
            return _with_types(documents, typed)
        key = (documents, typed)
        if key not in self._inputs:
            self._inputs[key] = _with_types(documents, typed)
        return self._inputs[key]


class UndefinedSchemaError(SchemaError):
    """An annotation names a schema that is not given."""


def _error(faults: list[SchemaError], location: Location) -> CompileError:
    return CompileError(tuple(Diagnostic(errors.TYPE, _message(fault), location) for fault in faults))


def _message(fault: SchemaError) -> str:
    return str(fault) if isinstance(fault, UndefinedSchemaError) else f"unable to compile the schema: {fault}"


def _with_types(documents: DocumentTypes, typed: Iterable[tuple[Path, Type]]) -> DocumentTypes:
    overlay = DocumentTypes(documents)
    for path, kind in typed:
        size = 1 if path[0] == "input" else overlay.typed_size(path)
        whole = overlay.at(str(path[0]), tuple(map(Scalar, path[1:size])))  # type: ignore[arg-type]
        overlay.put(path[:size], _replaced(whole, path[size:], kind))
    return overlay


def _replaced(whole: Type | None, path: Path, kind: Type) -> Type:
    """Return a type in which what a path selects is of another one."""
    if not path:
        return kind
    if isinstance(whole, ObjectType):
        return object_({**whole.static, path[0]: _replaced(whole.static.get(path[0]), path[1:], kind)}, whole.dynamic)
    return object_({path[0]: _replaced(None, path[1:], kind)}, (ANY, ANY))
