"""JSON schemas of drafts 4, 6 and 7: documents to checked schemas, with the errors of OPA's gojsonschema.

Owns where schemas stand in one. Where references lead is `json_schema_references`'. Knows no documents to be validated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from authz.rego.builtins import json_schema_keywords as keywords
from authz.rego.builtins.json_schema_keywords import SchemaError, wrong_type
from authz.rego.builtins.json_schema_references import References, draft_of, identifier_key, parsed_reference
from authz.rego.builtins.regex import Regex
from authz.rego.values import MAX_DEPTH, Boolean, Number, Object, Value

MAX_SCHEMAS: Final = 20_000
"""Schemas that a document may hold."""


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
    const: str | None = None
    enum: tuple[str, ...] | None = None
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


class _Parser:
    """The schemas of one document, and those that were made of references."""

    def __init__(self, document: Object | Boolean) -> None:
        self.document = document
        self.draft = draft_of(document)
        self.references = References(document)
        self.made: dict[str, Schema] = {}
        self.count = 0

    def root(self) -> Schema:
        return self._schema(self.document, 0)

    def _schema(self, document: Value, depth: int) -> Schema:
        self.count += 1
        if self.count > MAX_SCHEMAS or depth > MAX_DEPTH:
            raise SchemaError("schema is too large or nested too deeply")
        if isinstance(document, Boolean) and self.draft >= 6:
            return Schema(truth=bool(document))
        if not isinstance(document, Object):
            raise SchemaError("Expected: Valid Schema, given: Invalid JSON")
        made = Schema()
        self._fill(made, document, depth + 1)
        return made

    def _fill(self, made: Schema, document: Object, depth: int) -> None:
        """Check the keywords in the order in which their errors count."""
        identifier = keywords.text(document, identifier_key(document, self.draft))
        if identifier is not None:
            parsed_reference(identifier)
        self._definitions(document, depth)
        for key in ("title", "description"):
            keywords.text(document, key)
        if self._referred(made, document, depth):
            return
        made.types = keywords.types(document)
        self._object_keywords(made, document, depth)
        self._item_keywords(made, document, depth)
        made.bounds = keywords.bounds(document, self.draft)
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
        if "contains" in document and self.draft >= 6:
            made.contains = self._schema(document["contains"], depth)
        if "const" in document and self.draft >= 6:
            made.const = keywords.plain_json(document["const"])
        made.enum = keywords.enum(document)
        self._combined(made, document, depth)

    def _definitions(self, document: Object, depth: int) -> None:
        definitions = document.get("definitions")
        if definitions is None:
            return
        if not isinstance(definitions, Object):
            wrong_type("Array Of Schemas", "definitions")
        for key in definitions.ordered():
            if not isinstance(definitions[key], Object | Boolean):
                wrong_type("Array Of Schemas", "definitions")
            self._schema(definitions[key], depth)

    def _referred(self, made: Schema, document: Object, depth: int) -> bool:
        """Read a reference; say whether there is one that was not met before, which makes all other keywords void."""
        if keywords.text(document, "$ref") is None:
            return False
        full = self.references.of(document)
        if full in self.made:
            made.target = self.made[full]
            return False
        made.target = self.made[full] = Schema()
        target = self.references.find(full)
        if not isinstance(target, Object | Boolean):
            raise SchemaError("Valid Schema must be of type object")
        if isinstance(target, Boolean) and self.draft >= 6:
            made.target.truth = bool(target)
        else:
            made.target.target = self._schema(target, depth)
        return True

    # Keywords that hold schemas

    def _object_keywords(self, made: Schema, document: Object, depth: int) -> None:
        properties = document.get("properties")
        if properties is not None:
            if not isinstance(properties, Object):
                raise SchemaError("Properties must be of type object")
            made.properties = {str(key): self._schema(properties[key], depth) for key in properties.ordered()}
        made.additional_properties = self._additional(document, "additionalProperties", depth)
        patterns = document.get("patternProperties")
        if patterns is not None:
            if not isinstance(patterns, Object):
                wrong_type("Valid Schema", "patternProperties")
            made.patterns = [(keywords.property_pattern(str(key)), self._schema(patterns[key], depth)) for key in patterns.ordered()]
        names = document.get("propertyNames")
        if names is not None and self.draft >= 6:
            if not isinstance(names, Object | Boolean):
                wrong_type("Valid Schema", "patternProperties")
            made.property_names = self._schema(names, depth)
        dependencies = document.get("dependencies")
        if dependencies is not None:
            if not isinstance(dependencies, Object):
                raise SchemaError("dependencies must be of type object")
            made.dependencies = {str(key): self._dependency(dependencies[key], depth) for key in dependencies.ordered()}

    def _dependency(self, dependency: Value, depth: int) -> Schema | tuple[str, ...]:
        if isinstance(dependency, Object | Boolean):
            return self._schema(dependency, depth)
        if isinstance(dependency, tuple) and all(isinstance(name, str) for name in dependency):
            return tuple(map(str, dependency))
        raise SchemaError("Dependency must be of type Schema Or Array Of Strings")

    def _item_keywords(self, made: Schema, document: Object, depth: int) -> None:
        items = document.get("items")
        if isinstance(items, tuple):
            if not all(isinstance(item, Object | Boolean) for item in items):
                wrong_type("Valid Schema/Array Of Schemas", "items")
            made.items = tuple(self._schema(item, depth) for item in items)
        elif isinstance(items, Object | Boolean):
            made.items = self._schema(items, depth)
        elif items is not None:
            wrong_type("Valid Schema/Array Of Schemas", "items")
        made.additional_items = self._additional(document, "additionalItems", depth)

    def _additional(self, document: Object, key: str, depth: int) -> Schema | bool | None:
        additional = document.get(key)
        if additional is None:
            return None
        if isinstance(additional, Boolean):
            return bool(additional)
        if not isinstance(additional, Object):
            wrong_type("boolean/Valid Schema", key)
        return self._schema(additional, depth)

    def _combined(self, made: Schema, document: Object, depth: int) -> None:
        for key in ("oneOf", "anyOf", "allOf"):
            made.combined[key] = tuple(self._schema(part, depth) for part in keywords.array(document, key))
        made.negated = self._whole(document, "not", depth)
        if self.draft >= 7:
            made.condition = self._whole(document, "if", depth)
            made.consequence = self._whole(document, "then", depth)
            made.alternative = self._whole(document, "else", depth)

    def _whole(self, document: Object, key: str, depth: int) -> Schema | None:
        part = document.get(key)
        if part is None:
            return None
        if not isinstance(part, Object | Boolean):
            raise SchemaError(f"{key} must be of an object")
        return self._schema(part, depth)
