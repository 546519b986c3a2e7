"""Checking documents against JSON schemas: what does not fit, in the words and the order of OPA's gojsonschema.

Owns the meaning of the keywords. Knows no schema documents: it is given parsed schemas.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from authz.rego.builtins.json_schema_formats import has_format
from authz.rego.builtins.json_schema_keywords import plain_json
from authz.rego.builtins.json_schema_parser import Schema
from authz.rego.builtins.regex import contains
from authz.rego.numbers import NUMBERS, go_text
from authz.rego.values import MAX_DEPTH, Number, Object, Value, type_name

MAX_STEPS: Final = 100_000
"""Pairs of a schema and a value that are looked at: alternatives within alternatives could make any number."""

_ROOT: Final = "(Root)"


class CheckError(ValueError):
    """The check takes too long or leads too deep."""


class Finding(NamedTuple):
    """One thing that does not fit: the kind by gojsonschema's name, the place, the sentence."""

    kind: str
    field: str
    text: str


class Result:
    """What was found in a document or a part of it. The score tells how far an alternative was from fitting."""

    __slots__ = ("findings", "score")

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.score = 0

    def add(self, kind: str, path: tuple[str, ...], text: str) -> None:
        self.findings.append(Finding(kind, ".".join(path) if path else _ROOT, text))
        self.score -= 2

    def merge(self, other: Result) -> None:
        self.findings += other.findings
        self.score += other.score


def check(schema: Schema, document: Value) -> list[Finding]:
    """Return what in a document does not fit a schema. Raises CheckError."""
    return _Checker().check(schema, document, (), 0).findings


class _Checker:
    """One check of a document; it counts its steps."""

    def __init__(self) -> None:
        self.steps = 0

    def check(self, schema: Schema, value: Value, path: tuple[str, ...], depth: int) -> Result:
        """Return what does not fit of a value at a path."""
        result = Result()
        self._into(result, schema, value, path, depth)
        return result

    def _into(self, result: Result, schema: Schema, value: Value, path: tuple[str, ...], depth: int) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS or depth > MAX_DEPTH:
            raise CheckError("validation takes too many steps or leads too deep")
        while schema.target is not None:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise CheckError("validation takes too many steps or leads too deep")
            schema = schema.target
        if schema.truth is not None:
            if not schema.truth:
                result.add("false", path, "False always fails validation")
            return
        given = _type(value)
        if schema.types and given not in schema.types and not (given == "integer" and "number" in schema.types):
            expected = schema.types[0] if len(schema.types) == 1 else f"[{','.join(schema.types)}]"
            result.add("invalid_type", path, f"Invalid type. Expected: {expected}, given: {given}")
            return
        self._combined(result, schema, value, path, depth + 1)
        self._conditions(result, schema, value, path, depth + 1)
        result.score += 1
        if isinstance(value, tuple):
            self._array(result, schema, value, path, depth + 1)
        elif isinstance(value, Object):
            self._object(result, schema, value, path, depth + 1)
        elif isinstance(value, NUMBERS):
            _number(result, schema, value, path)
        _common(result, schema, value, path)
        if isinstance(value, str):
            _string(result, schema, value, path)
        if isinstance(value, Object):
            for name, inner in schema.properties.items():
                if name in value:
                    self._into(result, inner, value[name], (*path, name), depth + 1)
        result.score += 1

    def _combined(self, result: Result, schema: Schema, value: Value, path: tuple[str, ...], depth: int) -> None:
        """Check anyOf, oneOf, allOf and not."""
        any_of, one_of, all_of = (schema.combined.get(key, ()) for key in ("anyOf", "oneOf", "allOf"))
        if any_of:
            found = self._first(any_of, value, path, depth)
            if all(each.findings for each in found):
                result.add("number_any_of", path, "Must validate at least one schema (anyOf)")
                result.merge(_best(found))
        if one_of:
            found = [self.check(each, value, path, depth) for each in one_of]
            fitting = sum(not each.findings for each in found)
            if fitting != 1:
                result.add("number_one_of", path, "Must validate one and only one schema (oneOf)")
            if fitting == 0:
                result.merge(_best(found))
        if all_of:
            found = [self.check(each, value, path, depth) for each in all_of]
            for each in found:
                result.merge(each)
            if any(each.findings for each in found):
                result.add("number_all_of", path, "Must validate all the schemas (allOf)")
        if schema.negated is not None and not self.check(schema.negated, value, path, depth).findings:
            result.add("number_not", path, "Must not validate the schema (not)")

    def _first(self, schemas: Iterable[Schema], value: Value, path: tuple[str, ...], depth: int) -> list[Result]:
        """Check alternatives up to the first that fits."""
        found: list[Result] = []
        for schema in schemas:
            found.append(self.check(schema, value, path, depth))
            if not found[-1].findings:
                break
        return found

    def _conditions(self, result: Result, schema: Schema, value: Value, path: tuple[str, ...], depth: int) -> None:
        """Check dependencies and if, then, else."""
        if isinstance(value, Object):
            for name, dependency in schema.dependencies.items():
                if name not in value:
                    continue
                if isinstance(dependency, Schema):
                    self._into(result, dependency, value, path, depth)
                    continue
                for other in dependency:
                    if other not in value:
                        result.add("missing_dependency", path, f"Has a dependency on {other}")
        if schema.condition is None:
            return
        holds = not self.check(schema.condition, value, path, depth).findings
        branch = schema.consequence if holds else schema.alternative
        if branch is not None:
            found = self.check(branch, value, path, depth)
            if found.findings:
                kind, text = ("then", "was valid") if holds else ("else", "was not valid")
                result.add(f"condition_{kind}", path, f'Must validate "{kind}" as "if" {text}')
                result.merge(found)

    def _array(self, result: Result, schema: Schema, items: tuple[Value, ...], path: tuple[str, ...], depth: int) -> None:
        if isinstance(schema.items, Schema):
            for index, item in enumerate(items):
                result.merge(self.check(schema.items, item, (*path, str(index)), depth))
        elif schema.items:
            for index, (inner, item) in enumerate(zip(schema.items, items, strict=False)):
                result.merge(self.check(inner, item, (*path, str(index)), depth))
            self._additional_items(result, schema, items, path, depth)
        counts = schema.counts
        if len(items) < counts.get("minItems", 0):
            result.add("array_min_items", path, f"Array must have at least {counts['minItems']} items")
        if len(items) > counts.get("maxItems", len(items)):
            result.add("array_max_items", path, f"Array must have at most {counts['maxItems']} items")
        if schema.unique:
            _unique(result, items, path)
        if schema.contains is not None:
            found = [self.check(schema.contains, item, (*path, str(index)), depth) for index, item in enumerate(items)]
            if all(each.findings for each in found):
                result.add("contains", path, "At least one of the items must match")
                if found:
                    result.merge(_best(found))
        result.score += 1

    def _additional_items(self, result: Result, schema: Schema, items: tuple[Value, ...], path: tuple[str, ...], depth: int) -> None:
        """Check the items for which there is no schema of their own."""
        assert isinstance(schema.items, tuple)
        start = len(schema.items)
        if schema.additional_items is False and len(items) > start:
            result.add("array_no_additional_items", path, "No additional items allowed on array")
        if isinstance(schema.additional_items, Schema):
            for index in range(start, len(items)):
                result.merge(self.check(schema.additional_items, items[index], (*path, str(index)), depth))

    def _object(self, result: Result, schema: Schema, value: Object, path: tuple[str, ...], depth: int) -> None:
        counts = schema.counts
        if len(value) < counts.get("minProperties", 0):
            result.add("array_min_properties", path, f"Must have at least {counts['minProperties']} properties")
        if len(value) > counts.get("maxProperties", len(value)):
            result.add("array_max_properties", path, f"Must have at most {counts['maxProperties']} properties")
        for name in schema.required:
            if name in value:
                result.score += 1
            else:
                result.add("required", path, f"{name} is required")
        for key in value.ordered():
            self._property(result, schema, str(key), value[key], path, depth)
        if schema.property_names is not None:
            for key in value.ordered():
                found = self.check(schema.property_names, key, path, depth)
                if found.findings:
                    result.add("invalid_property_name", path, f'Property name of "{key}" does not match')
                    result.merge(found)
        result.score += 1

    def _property(  # noqa: PLR0913 - a place in the document, and what is there
        self, result: Result, schema: Schema, name: str, value: Value, path: tuple[str, ...], depth: int
    ) -> None:
        """Check a property against the patterns of names, or as one that nothing is said of."""
        is_described = name in schema.properties
        is_matched = False
        for pattern, inner in schema.patterns:
            if contains(pattern, name):
                is_matched = True
                result.merge(self.check(inner, value, (*path, name), depth))
        result.score += is_matched
        if is_described or is_matched:
            return
        if schema.additional_properties is False:
            result.add("additional_property_not_allowed", path, f"Additional property {name} is not allowed")
        elif isinstance(schema.additional_properties, Schema):
            result.merge(self.check(schema.additional_properties, value, (*path, name), depth))


def _type(value: Value) -> str:
    if isinstance(value, NUMBERS):
        return "integer" if isinstance(value, int) or value == value.to_integral_value() else "number"
    return type_name(value)


def _best(results: list[Result]) -> Result:
    """Return the first of the results that come closest to fitting."""
    return max(results, key=lambda result: result.score)


def _common(result: Result, schema: Schema, value: Value, path: tuple[str, ...]) -> None:
    where = ".".join(path) if path else _ROOT
    text = plain_json(value) if schema.const is not None or schema.enum is not None else ""
    if schema.const is not None and text != schema.const:
        result.add("const", path, f"{where} does not match: {schema.const}")
    if schema.enum is not None and text not in schema.enum:
        result.add("enum", path, f"{where} must be one of the following: {', '.join(schema.enum)}")
    if schema.format and isinstance(value, str) and not has_format(schema.format, value):
        result.add("format", path, f"Does not match format '{schema.format}'")
    result.score += 1


def _unique(result: Result, items: tuple[Value, ...], path: tuple[str, ...]) -> None:
    seen: dict[str, int] = {}
    for index, item in enumerate(map(plain_json, items)):
        if item in seen:
            result.add("unique", path, f"array items[{seen[item]},{index}] must be unique")
        seen[item] = index


def _number(result: Result, schema: Schema, value: Number, path: tuple[str, ...]) -> None:
    bounds = schema.bounds
    if "multipleOf" in bounds and not _is_multiple(value, bounds["multipleOf"]):
        result.add("multiple_of", path, f"Must be a multiple of {go_text(bounds['multipleOf'])}")
    if "maximum" in bounds and value > bounds["maximum"]:
        result.add("number_lte", path, f"Must be less than or equal to {go_text(bounds['maximum'])}")
    if "exclusiveMaximum" in bounds and value >= bounds["exclusiveMaximum"]:
        result.add("number_lt", path, f"Must be less than {go_text(bounds['exclusiveMaximum'])}")
    if "minimum" in bounds and value < bounds["minimum"]:
        result.add("number_gte", path, f"Must be greater than or equal to {go_text(bounds['minimum'])}")
    if "exclusiveMinimum" in bounds and value <= bounds["exclusiveMinimum"]:
        result.add("number_gt", path, f"Must be greater than {go_text(bounds['exclusiveMinimum'])}")
    result.score += 1


_MAX_EXPONENT: Final = 400


def _is_multiple(value: Number, of: Number) -> bool:
    """Return whether one number divides another exactly, on whole numbers: both times the same power of ten."""
    first, second = Decimal(value), Decimal(of)
    exponents = [int(number.as_tuple().exponent) for number in (first, second)]
    if any(abs(exponent) > _MAX_EXPONENT for exponent in exponents):
        raise CheckError("number is out of range for multipleOf")
    shift = -min(0, *exponents)
    return _scaled(first, shift) % _scaled(second, shift) == 0


def _scaled(number: Decimal, shift: int) -> int:
    sign, digits, exponent = number.as_tuple()
    magnitude: int = int("".join(map(str, digits))) * 10 ** (int(exponent) + shift)
    return -magnitude if sign else magnitude


def _string(result: Result, schema: Schema, value: str, path: tuple[str, ...]) -> None:
    counts = schema.counts
    if len(value) < counts.get("minLength", 0):
        result.add("string_gte", path, f"String length must be greater than or equal to {counts['minLength']}")
    if len(value) > counts.get("maxLength", len(value)):
        result.add("string_lte", path, f"String length must be less than or equal to {counts['maxLength']}")
    if schema.pattern is not None and not contains(schema.pattern, value):
        result.add("pattern", path, f"Does not match pattern '{schema.pattern.pattern}'")
    result.score += 1
