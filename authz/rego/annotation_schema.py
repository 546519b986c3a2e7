"""What a METADATA block may say: its YAML, read safely, in the shape that OPA gives it.

YAML is composed to nodes and converted here, so neither tags nor aliases can do
more than hold values. Knows no places in a source but line numbers of the block.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import yaml

from authz.rego.values import Document

_MAX_DEPTH: Final = 64
_MAX_VALUES: Final = 100_000

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,4000}")
_PREFIXED: Final = re.compile(r"0[xo][0-9a-fA-F]{1,1000}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, Document]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class AnnotationError(Exception):
    """A METADATA block is wrong; `line` counts from its marker."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def read_document(text: str) -> dict[str, Any]:
    """Return what a block says, keys that OPA does not know left out. Raises AnnotationError."""
    if not text.strip():
        raise AnnotationError("expected METADATA block, found whitespace")
    raw = _read_yaml(text)
    if not isinstance(raw, dict):
        raise AnnotationError("a METADATA block must be a YAML mapping", 1)
    document = {}
    for key, read in _FIELDS.items():
        if raw.get(key) is not None:
            value = read(key, raw[key])
            if value:
                document[key] = value
    return document


def _read_yaml(text: str) -> Document:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AnnotationError(f"yaml: {error.problem or error.context}", line) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise AnnotationError("yaml: " + (str(error).splitlines() or [""])[0], 1) from error
    return _Converter().value(node, 0)


class _Converter:
    """YAML nodes to JSON, with a budget: aliases can make a short text a huge value."""

    def __init__(self) -> None:
        self.values = 0

    def value(self, node: yaml.Node | None, depth: int) -> Document:
        self.values += 1
        if depth > _MAX_DEPTH or self.values > _MAX_VALUES:
            raise AnnotationError("yaml: the block is nested too deeply or holds too many values", 1)
        if isinstance(node, yaml.MappingNode):
            return {self._key(key): self.value(item, depth + 1) for key, item in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.ScalarNode):
            return None
        return _scalar(node.value) if node.style is None else str(node.value)

    @staticmethod
    def _key(node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise AnnotationError("invalid map key type(s)", node.start_mark.line + 1)
        return str(node.value)


def _scalar(text: str) -> Document:
    """Return the value of a plain scalar by YAML 1.2's core schema, where a date and `yes` are strings."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _PREFIXED.fullmatch(text):
        try:
            return int(text, 0)
        except ValueError:  # `0o9`: a string, as everything that is not a number
            return text
    return float(text) if _FLOAT.fullmatch(text) else text


def _text(key: str, value: Document) -> str:
    if not isinstance(value, str | int | float):
        raise AnnotationError(f"invalid {key} definition: must be a string", 1)
    return value if isinstance(value, str) else str(value)


def _flag(key: str, value: Document) -> bool:
    if not isinstance(value, bool):
        raise AnnotationError(f"invalid {key} definition: must be a boolean", 1)
    return value


def _items(key: str, value: Document) -> list[Document]:
    if not isinstance(value, list):
        raise AnnotationError(f"invalid {key} definition: must be a list", 1)
    return value


def _texts(key: str, value: Document) -> list[str]:
    return [_text(key, item) for item in _items(key, value)]


def _mapping(key: str, value: Document) -> dict[str, Document]:
    if not isinstance(value, dict):
        raise AnnotationError(f"invalid {key} definition: must be a map", 1)
    return value


def _resources(key: str, value: Document) -> list[dict[str, str]]:
    return [_resource(item) for item in _items(key, value)]


def _resource(item: Document) -> dict[str, str]:
    """Return a related resource, written as a URL or as `{ref, description}`."""
    if isinstance(item, str):
        item = {"ref": item}
    if not isinstance(item, dict):
        raise AnnotationError("invalid related-resource definition: invalid value type, must be string or map", 1)
    ref, description = (_stripped(item, name) for name in ("ref", "description"))
    if not ref:
        raise AnnotationError("invalid related-resource definition: 'ref' value required in object", 1)
    return {"ref": ref} | ({"description": description} if description else {})


def _authors(key: str, value: Document) -> list[dict[str, str]]:
    return [_author(item) for item in _items(key, value)]


def _author(item: Document) -> dict[str, str]:
    """Return an author, written as `Name <mail>` or as `{name, email}`."""
    if isinstance(item, str):
        words = item.split()
        if not words:
            raise AnnotationError("invalid author definition: author is an empty string", 1)
        has_mail = words[-1].startswith("<") and words[-1].endswith(">") and len(words[-1]) > 1
        item = {"name": " ".join(words[:-1] if has_mail else words), "email": words[-1][1:-1] if has_mail else ""}
    if not isinstance(item, dict):
        raise AnnotationError("invalid author definition: invalid value type, must be string or map", 1)
    author = {name: _stripped(item, name) for name in ("name", "email")}
    if not any(author.values()):
        raise AnnotationError("invalid author definition: 'name' and/or 'email' values required in object", 1)
    return {name: text for name, text in author.items() if text}


def _stripped(item: dict[str, Document], name: str) -> str:
    value = item.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _schemas(key: str, value: Document) -> list[dict[str, Document]]:
    schemas: list[dict[str, Document]] = []
    for item in _items(key, value):
        for path, schema in list(_mapping(key, item).items())[:1]:
            entry: dict[str, Document] = {"path": path.split(".")}
            if isinstance(schema, str):
                if schema.split(".")[0] != "schema":
                    raise AnnotationError("invalid schema reference", 1)
                entry["schema"] = schema.split(".")
            elif isinstance(schema, dict):
                entry["definition"] = schema
            else:
                raise AnnotationError(f'invalid schema declaration for path "{path}"', 1)
            schemas.append(entry)
    return schemas


_FIELDS: Final[dict[str, Callable[[str, Document], Any]]] = {
    "scope": _text,
    "title": _text,
    "entrypoint": _flag,
    "description": _text,
    "organizations": _texts,
    "related_resources": _resources,
    "authors": _authors,
    "schemas": _schemas,
    "custom": _mapping,
}
