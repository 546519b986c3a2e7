"""JSON schemas of drafts 4, 6 and 7: documents to checked schemas, with the errors of OPA's gojsonschema.

Owns where schemas stand in one and where references lead. A reference leads into the same
document; nothing is ever fetched. Knows no documents to be validated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from authz.rego.builtins import json_schema_keywords as keywords
from authz.rego.builtins.json_schema_keywords import ANY_DRAFT, SchemaError, wrong_type
from authz.rego.builtins.regex import Regex
from authz.rego.values import MAX_DEPTH, Boolean, Number, Object, Value

MAX_SCHEMAS: Final = 20_000
"""Schemas that a document may hold."""

_DRAFTS: Final = {f"http://json-schema.org/draft-0{number}/schema": number for number in (4, 6, 7)}


@dataclass(slots=True)
class Schema:
    """One schema. What is None or empty asks for nothing; `truth` is that of a boolean schema."""

    truth: bool | None = None
    target: Schema | None = None
    types: tuple[str, ...] = ()
    properties: dict[str, Schema] = field(default_factory=dict)
    patterns: list[tuple[Regex, Schema]] = field(default_factory=list)
    additional_properties: Schema | bool | None = None
    property_names: Schema | None = None
    dependencies: dict[str, Schema | tuple[str, ...]] = field(default_factory=dict)
    items: Schema | tuple[Schema, ...] = ()
    additional_items: Schema | bool | None = None
    bounds: dict[str, Number] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    pattern: Regex | None = None
    format: str = ""
    required: tuple[str, ...] = ()
    unique: bool = False
    contains: Schema | None = None
    const: Value | None = None
    enum: tuple[Value, ...] | None = None
    combined: dict[str, tuple[Schema, ...]] = field(default_factory=dict)
    negated: Schema | None = None
    condition: Schema | None = None
    consequence: Schema | None = None
    alternative: Schema | None = None


def parse_schema(document: Value) -> Schema:
    """Return the checked schema of a document. Raises SchemaError."""
    if not isinstance(document, Object | Boolean):
        raise SchemaError("schema is invalid")
    return _Parser(document).root()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema stands: the URI that its references start from, its draft, and how deep it is."""

    base: str
    draft: int
    depth: int


class _Parser:
    """The schemas of one document, by identifier with the URI around them, and those that were made of them."""

    def __init__(self, document: Object | Boolean) -> None:
        self.document = document
        self.made: dict[str, Schema] = {}
        self.documents: dict[str, tuple[Value, str]] = {"": (document, "")}
        self.count = 0

    def root(self) -> Schema:
        draft = _draft(self.document)
        place = _Place("", draft, 0)
        self._note_identifiers(self.document, place)
        return self._schema(self.document, place)

    def _note_identifiers(self, document: Value, place: _Place) -> None:
        """Find what references can lead to by a name of its own."""
        if place.depth > MAX_DEPTH:
            raise SchemaError("schema is nested too deeply")
        if isinstance(document, Object):
            base = _base(document, place)
            if base != place.base:
                self.documents.setdefault(base.removesuffix("#"), (document, place.base))
                if place.depth == 0:
                    self.documents[urldefrag(base)[0]] = (document, "")
            for key in document:
                if key not in {"enum", "const"}:
                    self._note_identifiers(document[key], _Place(base, place.draft, place.depth + 1))
        elif isinstance(document, tuple):
            for item in document:
                self._note_identifiers(item, _Place(place.base, place.draft, place.depth + 1))

    def _schema(self, document: Value, place: _Place) -> Schema:
        self.count += 1
        if self.count > MAX_SCHEMAS or place.depth > MAX_DEPTH:
            raise SchemaError("schema is too large or nested too deeply")
        if isinstance(document, Boolean) and place.draft >= 6:
            return Schema(truth=bool(document))
        if not isinstance(document, Object):
            raise SchemaError("Expected: Valid Schema, given: Invalid JSON")
        made = Schema()
        self._fill(made, document, _Place(_base(document, place), place.draft, place.depth + 1))
        return made

    def _fill(self, made: Schema, document: Object, place: _Place) -> None:
        """Check the keywords in the order in which their errors count."""
        self._definitions(document, place)
        for key in ("title", "description"):
            keywords.text(document, key)
        reference = keywords.text(document, "$ref")
        if reference is not None:
            made.target = self._referred(reference, place)
            return
        made.types = keywords.types(document)
        self._object_keywords(made, document, place)
        self._item_keywords(made, document, place)
        made.bounds = keywords.bounds(document, place.draft)
        made.counts = keywords.counts(document, "minLength", "maxLength")
        made.pattern = keywords.pattern(document)
        made.format = keywords.text(document, "format") or ""
        made.counts |= keywords.counts(document, "minProperties", "maxProperties")
        made.required = keywords.required(document)
        made.counts |= keywords.counts(document, "minItems", "maxItems", ordered=False)
        unique = document.get("uniqueItems")
        if unique is not None and not isinstance(unique, Boolean):
            raise SchemaError("uniqueItems must be of a boolean")
        made.unique = bool(unique)
        if "contains" in document and place.draft >= 6:
            made.contains = self._schema(document["contains"], place)
        if place.draft >= 6:
            made.const = document.get("const")
        made.enum = keywords.enum(document)
        self._combined(made, document, place)

    def _definitions(self, document: Object, place: _Place) -> None:
        definitions = document.get("definitions")
        if definitions is None:
            return
        if not isinstance(definitions, Object):
            wrong_type("Array Of Schemas", "definitions")
        for key in definitions.ordered():
            if not isinstance(definitions[key], Object | Boolean):
                wrong_type("Array Of Schemas", "definitions")
            self._schema(definitions[key], place)

    # References

    def _referred(self, reference: str, place: _Place) -> Schema:
        if "%" in reference and unquote(reference) == reference:
            raise SchemaError(f'parse "{reference}": invalid URL escape "{reference[reference.index("%") :][:3]}"')
        full = urljoin(place.base, reference) if place.base else reference
        if full in self.made:
            return self.made[full]
        made = self.made[full] = Schema()
        document, base = self._find(full)
        if not isinstance(document, Object | Boolean):
            raise SchemaError("Valid Schema must be of type object")
        inner = _Place(base, place.draft, place.depth + 1)
        if isinstance(document, Boolean):
            made.truth = bool(document)
        else:
            made.target = self._schema(document, inner)
        return made

    def _find(self, full: str) -> tuple[Value, str]:
        """Return what a full reference leads to, and the URI around it, from which its own identifier starts."""
        if full.removesuffix("#") in self.documents:
            return self.documents[full.removesuffix("#")]
        name, fragment = urldefrag(full)
        if name not in self.documents:
            if not urlsplit(name).scheme:
                raise SchemaError(f"Reference {'' if name.startswith('/') else '/'}{full} must be canonical")
            raise SchemaError("remote reference loading disabled")
        document, base = self.documents[name]
        return self._pointed(document, base, unquote(fragment))

    def _pointed(self, document: Value, base: str, pointer: str) -> tuple[Value, str]:
        if not pointer.startswith("/"):
            raise SchemaError("JSON pointer must be empty or start with a \"/\"" if pointer else "schema is invalid")  # fmt: skip
        for step in (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")):
            if isinstance(document, Object):
                base = _base(document, _Place(base, ANY_DRAFT, 1))
                if step not in document:
                    raise SchemaError(f"Object has no key '{step}'")
                document = document[step]
            elif isinstance(document, tuple):
                document = _item(document, step)
            else:
                raise SchemaError(f"Invalid token reference '{step}'")
        return document, base

    # Keywords that hold schemas

    def _object_keywords(self, made: Schema, document: Object, place: _Place) -> None:
        properties = document.get("properties")
        if properties is not None:
            if not isinstance(properties, Object):
                raise SchemaError("Properties must be of type object")
            made.properties = {str(key): self._schema(properties[key], place) for key in properties.ordered()}
        made.additional_properties = self._additional(document, "additionalProperties", place)
        patterns = document.get("patternProperties")
        if patterns is not None:
            if not isinstance(patterns, Object):
                wrong_type("Valid Schema", "patternProperties")
            made.patterns = [(keywords.property_pattern(str(key)), self._schema(patterns[key], place)) for key in patterns.ordered()]
        names = document.get("propertyNames")
        if names is not None and place.draft >= 6:
            if not isinstance(names, Object | Boolean):
                wrong_type("Valid Schema", "patternProperties")
            made.property_names = self._schema(names, place)
        dependencies = document.get("dependencies")
        if dependencies is not None:
            if not isinstance(dependencies, Object):
                raise SchemaError("dependencies must be of type object")
            made.dependencies = {str(key): self._dependency(dependencies[key], place) for key in dependencies.ordered()}

    def _dependency(self, dependency: Value, place: _Place) -> Schema | tuple[str, ...]:
        if isinstance(dependency, Object | Boolean):
            return self._schema(dependency, place)
        if isinstance(dependency, tuple) and all(isinstance(name, str) for name in dependency):
            return tuple(map(str, dependency))
        raise SchemaError("Dependency must be of type Schema Or Array Of Strings")

    def _item_keywords(self, made: Schema, document: Object, place: _Place) -> None:
        items = document.get("items")
        if isinstance(items, tuple):
            if not all(isinstance(item, Object | Boolean) for item in items):
                wrong_type("Valid Schema/Array Of Schemas", "items")
            made.items = tuple(self._schema(item, place) for item in items)
        elif isinstance(items, Object | Boolean):
            made.items = self._schema(items, place)
        elif items is not None:
            wrong_type("Valid Schema/Array Of Schemas", "items")
        made.additional_items = self._additional(document, "additionalItems", place)

    def _additional(self, document: Object, key: str, place: _Place) -> Schema | bool | None:
        additional = document.get(key)
        if additional is None:
            return None
        if isinstance(additional, Boolean):
            return bool(additional)
        if not isinstance(additional, Object):
            wrong_type("boolean/Valid Schema", key)
        return self._schema(additional, place)

    def _combined(self, made: Schema, document: Object, place: _Place) -> None:
        for key in ("oneOf", "anyOf", "allOf"):
            made.combined[key] = tuple(self._schema(part, place) for part in keywords.array(document, key))
        made.negated = self._whole(document, "not", place)
        if place.draft >= 7:
            made.condition = self._whole(document, "if", place)
            made.consequence = self._whole(document, "then", place)
            made.alternative = self._whole(document, "else", place)

    def _whole(self, document: Object, key: str, place: _Place) -> Schema | None:
        part = document.get(key)
        if part is None:
            return None
        if not isinstance(part, Object | Boolean):
            raise SchemaError(f"{key} must be of an object")
        return self._schema(part, place)


def _draft(document: Value) -> int:
    if not isinstance(document, Object) or "$schema" not in document:
        return ANY_DRAFT
    name = document["$schema"]
    if not isinstance(name, str):
        raise SchemaError("$schema must be of type string")
    return _DRAFTS.get(name.removesuffix("#"), ANY_DRAFT)


def _base(document: Object, place: _Place) -> str:
    """Return the URI that references in a schema start from. Draft 4 has `id`, later ones `$id`."""
    key = "id" if place.draft == 4 or (place.draft == ANY_DRAFT and isinstance(document.get("id"), str)) else "$id"
    name = document.get(key)
    if name is None or (place.depth and not isinstance(name, str)):
        return place.base
    if not isinstance(name, str):
        wrong_type("string", key)
    return urljoin(place.base, name) if place.base else name


def _item(items: tuple[Value, ...], step: str) -> Value:
    if not (step.isascii() and step.isdecimal() and len(step) < 10):
        raise SchemaError(f"Invalid array index '{step}'")
    if int(step) >= len(items):
        raise SchemaError(f"Out of bound array[0,{len(items)}] index '{step}'")
    return items[int(step)]
