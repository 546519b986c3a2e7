"""Where the identifiers and references of a JSON schema lead, by the rules of OPA's gojsonschema.

A reference leads into the same document; nothing is ever fetched. What schemas say is not looked at here.
"""

from __future__ import annotations

from typing import Final

from authz.rego.builtins.go_url import Url, UrlError, parse_url
from authz.rego.builtins.json_schema_keywords import ANY_DRAFT, SchemaError
from authz.rego.numbers import index_of
from authz.rego.values import MAX_DEPTH, Object, Value

_DRAFTS: Final = {f"http://json-schema.org/draft-0{number}/schema": number for number in (4, 6, 7)}
_LITERAL: Final = frozenset({"const", "enum"})
_NAMED: Final = frozenset({"properties", "dependencies", "patternProperties"})
"""Keywords whose values are no schemas, though they hold some."""


def draft_of(document: Value) -> int:
    """Return the number of the draft that a schema says it follows, ANY_DRAFT if none is known."""
    if not isinstance(document, Object) or "$schema" not in document:
        return ANY_DRAFT
    name = document["$schema"]
    if not isinstance(name, str):
        raise SchemaError("$schema must be of type string")
    return _DRAFTS.get(str(parsed_reference(name)), ANY_DRAFT)


def identifier_key(document: Object, draft: int) -> str:
    """Return the keyword for a schema's own name: draft 4 has `id`, later ones `$id`."""
    return "id" if draft == 4 or (draft == ANY_DRAFT and "id" in document) else "$id"


def parsed_reference(text: str) -> Url:
    """Return a reference or an identifier as a URL. Raises SchemaError."""
    try:
        return parse_url(text)
    except UrlError as error:
        raise SchemaError(str(error)) from None


class References:
    """The identifiers in a document, and what each reference in it means. Every object of the document has to be its own."""

    def __init__(self, document: Value) -> None:
        self.named: dict[str, Value] = {}
        self.absolute: dict[int, str] = {}
        self._note(document, parse_url(""), 0)
        self.named[""] = document

    def of(self, schema: Object) -> str:
        """Return the reference that a schema is, made absolute. Raises SchemaError."""
        if id(schema) not in self.absolute:
            self.absolute[id(schema)] = str(parsed_reference(str(schema["$ref"])))
        return self.absolute[id(schema)]

    def find(self, reference: str) -> Value:
        """Return what an absolute reference leads to. Raises SchemaError."""
        if reference in self.named:
            return self.named[reference]
        url = parse_url(reference)
        base = str(url.without_fragment())
        if base in self.named:
            self.named[reference] = _pointed(self.named[base], url.fragment)
            return self.named[reference]
        is_canonical = url.path.startswith("/") if url.scheme == "file" else url.scheme != "" and url.host != ""
        if not is_canonical:
            raise SchemaError(f"Reference {reference} must be canonical")
        raise SchemaError(f"remote reference loading disabled: {reference}")

    def _note(self, document: Value, base: Url, depth: int) -> None:
        """Find what references can lead to by a name of its own, and make those that are there absolute."""
        if depth > MAX_DEPTH:
            raise SchemaError("schema is nested too deeply")
        if isinstance(document, tuple):
            for item in document:
                self._note(item, base, depth + 1)
        elif isinstance(document, Object):
            base = self._named(document, base)
            reference = document.get("$ref")
            if isinstance(reference, str):
                self._absolute(document, reference, base)
            for key, item in document.items():
                if key in _NAMED and isinstance(item, Object):
                    for inner in item.values():
                        self._note(inner, base, depth + 2)
                elif key not in _LITERAL and key not in _NAMED:
                    self._note(item, base, depth + 1)

    def _named(self, document: Object, base: Url) -> Url:
        name = document.get("id" if "id" in document else "$id")
        if not isinstance(name, str):
            return base
        try:
            url = parse_url(str(base.without_fragment().resolve(parse_url(name))))
        except UrlError:  # whoever reads the schema says so
            return base
        if str(url) in self.named:
            raise SchemaError(f'Reference already exists: "{url}"')
        self.named[str(url)] = document
        return url

    def _absolute(self, document: Object, reference: str, base: Url) -> None:
        try:
            self.absolute[id(document)] = str(parse_url(str(base.without_fragment().resolve(parse_url(reference)))))
        except UrlError:
            return


def _pointed(document: Value, pointer: str) -> Value:
    """Return what a JSON pointer leads to; a fragment that is none leads to the whole document."""
    if not pointer.startswith("/"):
        return document
    for step in pointer[1:].split("/"):
        if isinstance(document, Object):
            key = step.replace("~1", "/").replace("~0", "~")
            if key not in document:
                raise SchemaError(f"Object has no key '{key}'")
            document = document[key]
        elif isinstance(document, tuple):
            document = _item(document, step)
        else:
            raise SchemaError(f"Invalid token reference '{step}'")
    return document


def _item(items: tuple[Value, ...], step: str) -> Value:
    position = index_of(step) if "." not in step else None
    if position is None:
        raise SchemaError(f"Invalid array index '{step}'")
    if not 0 <= position < len(items):
        raise SchemaError(f"Out of bound array[0,{len(items)}] index '{position}'")
    return items[position]
