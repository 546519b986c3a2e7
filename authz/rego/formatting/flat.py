"""Terms on one line, as OPA prints values: operators as calls of their built-ins, sets and objects sorted.

So OPA writes the key of `p[key]`, unless some head in the module is longer. Knows no comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, Final

from authz.rego import nodes
from authz.rego.formatting.written import Written
from authz.rego.nodes import Term
from authz.rego.render import quote
from authz.rego.tokens import Kind
from authz.rego.values import order_key

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_REGO_STRING: Final = re.compile(r'"(?:[^\\]|\\["\\bfnrt]|\\u[0-9a-f]{4})*"')


class NotFlatError(Exception):
    """A term that has no such text, or whose text would not mean the same."""


def quoted(text: str) -> str | None:
    """Return a string between double quotes, as Go writes it; None where that is no Rego."""
    found = quote(text)
    return found if _REGO_STRING.fullmatch(found) else None


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def scalar_text(term: nodes.Scalar, written: Written) -> str:
    """Return the source text of a scalar; `-x` has a zero in front that nobody wrote."""
    index = written.index(term.location)
    token = written.tokens[index]
    if isinstance(term.value, str) and token.kind is not Kind.STRING:  # the key of `p.a` as a set of Rego v0
        return f'"{token.text}"'
    if token.kind is not Kind.MINUS:
        return token.text
    number = written.tokens[index + 1]
    return "-" + number.text if number.kind is Kind.NUMBER else "0"


_RANKS: Final = (
    nodes.Var, nodes.Ref, nodes.Array, nodes.ObjectTerm, nodes.SetTerm,
    nodes.ArrayComprehension, nodes.ObjectComprehension, nodes.SetComprehension, nodes.Call,
)  # fmt: skip


def _order(term: Term) -> tuple[Any, ...]:
    """Return what puts terms into OPA's order: by kind, then by content. Raises NotFlatError for what it has no order of."""
    rank = _RANKS.index(type(term)) if type(term) in _RANKS else -1
    match term:
        case nodes.Scalar():
            return rank, order_key(term.value)
        case nodes.Var():
            return rank, term.name
        case nodes.Ref():
            return rank, tuple(map(_order, (term.head, *term.args)))
        case nodes.Array():
            return rank, tuple(map(_order, term.items))
        case nodes.Call():
            return rank, term.operator, tuple(map(_order, term.args))
        case nodes.SetTerm():
            return rank, tuple(sorted(map(_order, term.items)))
        case nodes.ObjectTerm():
            return rank, tuple(sorted((_order(key), _order(value)) for key, value in term.pairs))
    raise NotFlatError


class Flat:
    """Writes the terms of one module."""

    def __init__(self, written: Written, keywords: Set[str]) -> None:
        self._written = written
        self._keywords = keywords

    def text(self, term: Term) -> str:
        """Return a term on one line. Raises NotFlatError."""
        match term:
            case nodes.Scalar():
                return self._scalar(term)
            case nodes.Var():
                return "_" if term.is_wildcard else term.name
            case nodes.Ref():
                return self.text(term.head) + "".join(map(self._step, term.args))
            case nodes.Call():
                return f"{self._name(term.operator)}({self._list(term.args)})"
            case nodes.Array():
                return f"[{self._list(term.items)}]"
            case nodes.SetTerm():
                return f"{{{self._sorted({item: self.text(item) for item in term.items})}}}" if term.items else "set()"
            case nodes.ObjectTerm():
                return self._object(term)
            case nodes.ArrayComprehension():
                return f"[{self.text(term.term)} | {self._body(term.body)}]"
            case nodes.SetComprehension():
                return f"{{{self.text(term.term)} | {self._body(term.body)}}}"
            case nodes.ObjectComprehension():
                return f"{{{self.text(term.key)}: {self.text(term.value)} | {self._body(term.body)}}}"
        raise NotFlatError

    def _scalar(self, term: nodes.Scalar) -> str:
        if not isinstance(term.value, str):
            return scalar_text(term, self._written)
        text = quoted(term.value)
        if text is None:
            raise NotFlatError
        return text

    def _step(self, step: Term) -> str:
        if isinstance(step, nodes.Scalar) and isinstance(step.value, str) and is_name(step.value) and step.value not in self._keywords:
            return f".{step.value}"
        return f"[{self.text(step)}]"

    def _name(self, names: tuple[str, ...]) -> str:
        if not all(is_name(name) and name not in self._keywords for name in names[1:]):
            raise NotFlatError
        return ".".join(names)

    def _list(self, terms: Iterable[Term]) -> str:
        return ", ".join(map(self.text, terms))

    def _object(self, term: nodes.ObjectTerm) -> str:
        texts = {key: f"{self.text(key)}: {self.text(value)}" for key, value in term.pairs}
        if len(texts) < len(term.pairs):
            raise NotFlatError
        return f"{{{self._sorted(texts)}}}"

    def _sorted(self, texts: Mapping[Term, str]) -> str:
        """Join texts in the order of their terms."""
        return ", ".join(texts[term] for term in sorted(texts, key=_order))

    def _body(self, body: nodes.Body) -> str:
        return "; ".join(map(self._literal, body))

    def _literal(self, literal: nodes.Literal) -> str:
        withs = "".join(f" with {self.text(each.target)} as {self.text(each.value)}" for each in literal.withs)
        return ("not " if literal.negated else "") + self._expr(literal.expr) + withs

    def _expr(self, expr: nodes.Expr) -> str:
        match expr:
            case nodes.TermExpr(term):
                return self.text(term)
            case nodes.Unify(left, right):
                return f"{self.text(left)} = {self.text(right)}"
            case nodes.SomeDecl(names):
                return f"some {self._list(names)}"
            case nodes.SomeIn(key, value, domain):
                return f"some {self._list([value] if key is None else [key, value])} in {self.text(domain)}"
            case nodes.Every(key, value, domain, body):
                return f"every {self._list([value] if key is None else [key, value])} in {self.text(domain)} {{ {self._body(body)} }}"
        raise NotFlatError  # `:=` as a call would not mean the same
