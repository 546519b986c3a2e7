"""JSON schemas to types: what OPA's type checker makes of one. It closes objects, and of several types takes one.

Where OPA refuses to merge schemas, or sees more than one level of one that contains itself, the type is `any` here.
"""

from __future__ import annotations

from typing import Final

from authz.rego.builtins.json_schema_parser import Schema
from authz.rego.types.model import ANY, BOOLEAN, NUMBER, STRING, ObjectType, Type, array, object_, union
from authz.rego.values import Value

_SCALARS: Final = {"boolean": BOOLEAN, "string": STRING, "integer": NUMBER, "number": NUMBER}
_ORDER: Final = (*_SCALARS, "object", "array")
"""Of a schema with several types, the first of these counts. `null` never does."""


def type_of_schema(schema: Schema) -> Type:
    """Return the type of the documents that a schema describes."""
    return _Converter().type_of(schema)


class _Converter:
    def __init__(self) -> None:
        self.made: dict[int, Type] = {}

    def type_of(self, schema: Schema) -> Type:
        known = self.made.get(id(schema))
        if known is None:
            self.made[id(schema)] = ANY  # inside itself
            known = self.made[id(schema)] = self._type(schema)
        return known

    def _type(self, schema: Schema) -> Type:
        if schema.target is not None:
            return self.type_of(schema.target)
        any_of, all_of = schema.combined.get("anyOf"), schema.combined.get("allOf")
        if any_of:
            own = (self._own(schema),) if _kind(schema) == "object" and schema.properties else ()
            return union((*own, *map(self.type_of, any_of))) or ANY
        return self._merged(schema, all_of) if all_of else self._own(schema)

    def _own(self, schema: Schema) -> Type:
        kind = _kind(schema)
        if kind == "object":
            if not schema.properties:
                return object_({}, (ANY, ANY))
            return object_({name: self.type_of(part) for name, part in schema.properties.items()})
        if kind == "array":
            if isinstance(schema.items, Schema):
                return array((), self.type_of(schema.items))
            return array(tuple(map(self.type_of, schema.items)), None if schema.items else ANY)
        return _SCALARS.get(kind, ANY)

    def _merged(self, schema: Schema, all_of: tuple[Schema, ...]) -> Type:
        """Return the type of what all schemas describe, and the one itself around them."""
        parts = [self.type_of(part) for part in all_of]
        if schema.properties or schema.types:
            parts.append(self._own(schema))
        objects = [part for part in parts if isinstance(part, ObjectType)]
        if len(objects) < len(parts):
            return parts[0] if all(part is parts[0] for part in parts) else ANY
        if not objects[0].static:
            return objects[0]
        static: dict[Value, Type | None] = {}
        for part in objects:
            static = {**part.static, **static}
        return object_(static)


def _kind(schema: Schema) -> str:
    named = (name for name in _ORDER if name in schema.types)
    return next(named, "" if schema.types else "object" if schema.properties else "array" if schema.items else "")
