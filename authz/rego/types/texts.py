"""Types and terms in the words of OPA's error messages.

Owns only how they are written. Types can be huge (one per constant of a policy), so a text ends where it has said enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

from authz.rego import nodes
from authz.rego.expand import CallExpr, FlatComprehension
from authz.rego.names import original_name
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.render import to_text
from authz.rego.types.model import ArrayType, FunctionType, ObjectType, ScalarType, SetType, Type, UnionType
from authz.rego.values import Boolean, Null, Object, Value, number_text, order_key

MAX_TEXT: Final = 2000
"""Characters of a type that are written; OPA writes all of it."""

_ORDERED_DEPTH: Final = 12
"""Levels down to which the members of a union are told apart when they are put in order."""

_SCALAR_RANKS: Final = {"null": 0, "boolean": 1, "number": 2, "string": 3}
_TERM_RANKS: Final[dict[type, int]] = {Var: 4, Ref: 5, nodes.Array: 6, nodes.ObjectTerm: 7, nodes.SetTerm: 8}
_NAME: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")

Sources: TypeAlias = Mapping[str, "CallExpr | Term"]
"""What the variables that no author wrote stand for."""


# Types


def type_text(kind: Type | None) -> str:
    """Return OPA's text of a type: `object<a: number>[string: any]`; `???` for an unknown one."""
    return shortened(_type_parts(kind))


def shortened(parts: Iterable[str], separator: str = "") -> str:
    """Return the parts in one text that ends with `…` where it would be too long."""
    written: list[str] = []
    size = 0
    for part in parts:
        written.append(part)
        size += len(part) + len(separator)
        if size > MAX_TEXT:
            return separator.join(written)[:MAX_TEXT] + "…"
    return separator.join(written)


def types_text(kinds: Iterable[Type | None], labels: Iterable[str] = ()) -> str:
    """Return the types of a call's arguments, in parentheses; those of built-ins have labels."""
    names = iter(labels)
    texts = ((next(names, ""), type_text(kind)) for kind in kinds)
    return "(" + ", ".join(f"{name}: {text}" if name else text for name, text in texts) + ")"


def _type_parts(kind: Type | None) -> Iterator[str]:
    match kind:
        case ScalarType(name=name):
            yield name
        case ArrayType(static=static, dynamic=dynamic):
            yield "array"
            yield from _listed("<", static, ">")
            yield from _listed("[", () if dynamic is None else (dynamic,), "]")
        case ObjectType():
            yield from _object_parts(kind)
        case SetType(of=of):
            yield "set"
            yield from _listed("[", (of,), "]")
        case UnionType():
            yield "any"
            yield from _listed("<", ordered(kind), ">")
        case FunctionType(params=params, result=result):
            yield types_text(params) + " => "
            yield from _type_parts(result)
        case _:
            yield "???"


def _listed(start: str, kinds: tuple[Type | None, ...], end: str) -> Iterator[str]:
    for index, kind in enumerate(kinds):
        yield ", " if index else start
        yield from _type_parts(kind)
    if kinds:
        yield end


def _object_parts(kind: ObjectType) -> Iterator[str]:
    yield "object"
    for index, (key, value) in enumerate(kind.static.items()):
        yield f"{', ' if index else '<'}{_key_text(key)}: "
        yield from _type_parts(value)
    if kind.static:
        yield ">"
    if kind.dynamic is not None:
        yield "["
        yield from _type_parts(kind.dynamic[0])
        yield ": "
        yield from _type_parts(kind.dynamic[1])
        yield "]"


def _key_text(key: Value) -> str:
    """Return a key as Go prints it by itself: no quotes, lists without commas."""
    match key:
        case str():
            return key
        case Null():
            return "<nil>"
        case Boolean():
            return "true" if key else "false"
        case Object():
            return "map[" + " ".join(f"{_key_text(name)}:{_key_text(key[name])}" for name in key.ordered()) + "]"
        case tuple():
            return "[" + " ".join(map(_key_text, key)) + "]"
    return number_text(cast(int, key))


def ordered(kind: UnionType) -> tuple[Type, ...]:
    """Return the members of a union in OPA's order of types."""
    return tuple(sorted(kind.members, key=_order))


def _order(kind: Type | None, depth: int = _ORDERED_DEPTH) -> tuple[Any, ...]:
    below = depth - 1
    if depth == 0:
        return ()
    match kind:
        case ScalarType(name=name):
            return (_SCALAR_RANKS[name],)
        case ArrayType(static=static, dynamic=dynamic):
            return (4, _order(dynamic, below), tuple(_order(each, below) for each in static))
        case ObjectType(static=known, dynamic=pair):
            rest = tuple(_order(each, below) for each in pair or ())
            return (5, len(rest), rest, tuple(part for key, each in known.items() for part in (order_key(key), _order(each, below))))
        case SetType(of=of):
            return (6, _order(of, below))
        case UnionType(members=members):
            return (7, tuple(sorted(_order(each, below) for each in members)))
        case FunctionType(params=params, result=result):
            return (8, len(params), tuple(_order(each, below) for each in params), _order(result, below))
    return (-1,)


# Terms


def term_text(term: Term, sources: Sources) -> str:
    """Return OPA's text of a term: infix calls by name, members of sets and objects in order."""
    match term:
        case Scalar(value):
            return to_text(value)
        case Var(name):
            return _var_text(name, sources)
        case Ref(head, args):
            return ref_text(head, args, sources)
        case nodes.Array(items):
            return "[" + _terms_text(items, sources) + "]"
        case nodes.SetTerm(items):
            texts = dict.fromkeys(term_text(item, sources) for item in sorted(items, key=term_order))
            return "{" + ", ".join(texts) + "}" if items else "set()"
        case nodes.ObjectTerm(pairs):
            members = sorted(pairs, key=lambda pair: term_order(pair[0]))
            return "{" + ", ".join(f"{term_text(key, sources)}: {term_text(value, sources)}" for key, value in members) + "}"
        case nodes.Call(operator, args):
            return f"{'.'.join(operator)}({_terms_text(args, sources)})"
    assert isinstance(term, FlatComprehension)
    return _comprehension_text(term, sources)


def ref_text(head: Term, args: Iterable[Term], sources: Sources) -> str:
    """Return the text of a reference with these steps."""
    steps = (
        f".{arg.value}" if isinstance(arg, Scalar) and isinstance(arg.value, str) and _NAME.fullmatch(arg.value)
        else f"[{term_text(arg, sources)}]"
        for arg in args
    )  # fmt: skip
    return shortened((term_text(head, sources), *steps))


def term_order(term: Term) -> tuple[Any, ...]:
    """Return a key that sorts terms as OPA does: scalars by value, then what is composed, by text."""
    if isinstance(term, Scalar):
        return order_key(term.value)
    return (_TERM_RANKS.get(type(term), 9), term_text(term, {}))


def _terms_text(terms: Iterable[Term], sources: Sources) -> str:
    return ", ".join(term_text(term, sources) for term in terms)


def _var_text(name: str, sources: Sources) -> str:
    source = sources.get(name)
    if source is None:
        return original_name(name)
    if isinstance(source, CallExpr):
        return f"{'.'.join(source.operator)}({_terms_text(source.args, sources)})"
    return term_text(source, sources)


def _comprehension_text(term: FlatComprehension, sources: Sources) -> str:
    head = term_text(term.value, sources)
    if term.key is not None:
        head = f"{term_text(term.key, sources)}: {head}"
    return f"[{head} | …]" if term.kind == "array" else f"{{{head} | …}}"
