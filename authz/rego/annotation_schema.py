"""What a METADATA block may say: its YAML, read safely, in the shape that OPA gives it.

YAML is composed to nodes and converted here, so neither tags nor aliases can do
more than hold values. Knows no places in a source but line numbers of the block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, Union

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
    raw = _read_yaml(text + "\n")
    if not isinstance(raw, dict):
        raise AnnotationError("a METADATA block must be a YAML mapping", 1)
    document = {}
    for key, read in _FIELDS.items():
        written = raw.get(key)
        if written is not None and not (isinstance(written, _Plain) and written.value is None):
            value = read(key, written)
            if value:
                document[key] = value
    return document


def _read_yaml(text: str) -> _Value:
    try:
        node = next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AnnotationError(f"yaml: {error.problem or error.context}", line) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise AnnotationError("yaml: " + (str(error).splitlines() or [""])[0], 1) from error
    return _Converter().value(node, 0)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A scalar without quotes: what it says to a field of text, and to one of any type."""

    text: str

    @property
    def value(self) -> Document:
        """The value by YAML 1.2's core schema, where a date and `yes` are strings."""
        if self.text in _WORDS:
            return _WORDS[self.text]
        if _INTEGER.fullmatch(self.text):
            return int(self.text)
        if _PREFIXED.fullmatch(self.text):
            try:
                return int(self.text, 0)
            except ValueError:  # `0o9`: a string, as everything that is not a number
                return self.text
        return float(self.text) if _FLOAT.fullmatch(self.text) else self.text


class _Mapping(dict[str, Any]):
    """A mapping; `is_named` if all its keys are strings."""

    is_named = True


_Value: TypeAlias = Union[str, _Plain, list[Any], _Mapping, None]


class _Converter:
    """YAML nodes to values, with a budget: aliases can make a short text a huge value."""

    def __init__(self) -> None:
        self.values = 0

    def value(self, node: yaml.Node | None, depth: int) -> _Value:
        self.values += 1
        if depth > _MAX_DEPTH or self.values > _MAX_VALUES:
            raise AnnotationError("yaml: the block is nested too deeply or holds too many values", 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.ScalarNode):
            return None
        return _Plain(node.value) if node.style is None else str(node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> _Mapping:
        found = _Mapping()
        merged: list[_Value] = []
        lines: dict[str, int] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise AnnotationError("invalid map key type(s)", key.start_mark.line + 1)
            value = self.value(item, depth + 1)
            if key.style is None and key.value == "<<":
                merged += value if isinstance(value, list) else [value]
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                fault = f'yaml: unmarshal errors:\n  line {line}: mapping key "{key.value}" already defined at line {lines[key.value]}'
                raise AnnotationError(fault, line)
            lines[key.value] = line
            found[key.value] = value
            found.is_named &= key.style is not None or isinstance(_Plain(key.value).value, str)
        for other in merged:
            for name, value in other.items() if isinstance(other, _Mapping) else ():
                found.setdefault(name, value)
        return found


def _document(value: _Value) -> Document:
    """Return a value as JSON, whose keys have to be strings."""
    if isinstance(value, _Plain):
        return value.value
    if isinstance(value, list):
        return [_document(item) for item in value]
    if isinstance(value, _Mapping):
        if not value.is_named:
            raise AnnotationError("invalid map key type(s): keys of nested maps must be strings", 1)
        return {key: _document(item) for key, item in value.items()}
    return value


def _text(key: str, value: _Value) -> str:
    if isinstance(value, _Plain):
        return value.text
    if not isinstance(value, str):
        raise AnnotationError(f"invalid {key} definition: must be a string", 1)
    return value


def _flag(key: str, value: _Value) -> bool:
    """Return a boolean, written in the words of YAML 1.1 too."""
    word = value.text.lower() if isinstance(value, _Plain) else ""
    if word not in _FLAGS:
        raise AnnotationError(f"invalid {key} definition: must be a boolean", 1)
    return _FLAGS[word]


def _items(key: str, value: _Value) -> list[_Value]:
    if not isinstance(value, list):
        raise AnnotationError(f"invalid {key} definition: must be a list", 1)
    return value


def _texts(key: str, value: _Value) -> list[str]:
    return [_text(key, item) for item in _items(key, value)]


def _mapping(key: str, value: _Value) -> dict[str, Document]:
    if not isinstance(value, _Mapping):
        raise AnnotationError(f"invalid {key} definition: must be a map", 1)
    return {name: _document(item) for name, item in value.items()}


def _ignored(key: str, value: _Value) -> None:
    """Check what OPA reads, and does not show in annotations."""
    _mapping(key, value)


def _resources(key: str, value: _Value) -> list[dict[str, str]]:
    return [_resource(_document(item)) for item in _items(key, value)]


def _resource(item: Document) -> dict[str, str]:
    """Return a related resource, written as a URL or as `{ref, description}`."""
    if isinstance(item, str):
        item = {"ref": item}
    if not isinstance(item, dict):
        raise AnnotationError("invalid related-resource definition: invalid value type, must be string or map", 1)
    ref, description = (_stripped(item, name) for name in ("ref", "description"))
    if not ref:
        raise AnnotationError("invalid related-resource definition: 'ref' value required in object", 1)
    if _NO_URL.search(ref):
        raise AnnotationError(f"invalid related-resource definition: `{ref}` is not a URL", 1)
    return {"ref": ref} | ({"description": description} if description else {})


def _authors(key: str, value: _Value) -> list[dict[str, str]]:
    return [_author(_document(item)) for item in _items(key, value)]


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


def _schemas(key: str, value: _Value) -> list[dict[str, Document]]:
    schemas: list[dict[str, Document]] = []
    for item in _items(key, value):
        for written, schema in list(_mapping(key, item).items())[:1]:
            path = _reference(written)
            if len(path) < 2 and path not in (["input"], ["data"]):
                raise AnnotationError("invalid document reference", 1)
            entry: dict[str, Document] = {"path": path}
            if isinstance(schema, str):
                entry["schema"] = _reference(schema)
                if entry["schema"][:1] != ["schema"]:
                    raise AnnotationError("invalid schema reference", 1)
            elif isinstance(schema, dict):
                entry["definition"] = schema
            else:
                raise AnnotationError(f'invalid schema declaration for path "{written}"', 1)
            schemas.append(entry)
    return schemas


def _reference(text: str) -> list[Document]:
    """Return the steps of a reference such as `input.a["b c"]`; none if the text is something else."""
    if not _REFERENCE.fullmatch(text):
        return []
    return [json.loads(quoted) if quoted else name for name, quoted in _STEP.findall(text)]


_FLAGS: Final = {
    "true": True, "yes": True, "on": True, "y": True, "false": False, "no": False, "off": False, "n": False,
}  # fmt: skip
_NO_URL: Final = re.compile(r"[\x00-\x1f\x7f]|%(?![0-9a-fA-F]{2})|^:|^[^/?#]*://[^/?#]*[ ]")
_REFERENCE: Final = re.compile(r"""[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+|\["(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*+"\])*+""", re.ASCII)
_STEP: Final = re.compile(r"""([A-Za-z_]\w*+)|("(?:[^"\\]|\\.)*+")""", re.ASCII)

_FIELDS: Final[dict[str, Callable[[str, _Value], Any]]] = {
    "scope": _text,
    "title": _text,
    "entrypoint": _flag,
    "description": _text,
    "organizations": _texts,
    "related_resources": _resources,
    "authors": _authors,
    "schemas": _schemas,
    "compile": _ignored,
    "custom": _mapping,
    "labels": _mapping,
}
