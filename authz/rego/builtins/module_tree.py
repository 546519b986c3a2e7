"""`rego.parse_module`: a module's syntax tree as OPA writes it in JSON.

Owns the shape of that JSON and the texts of its errors. The grammar is the parser's; what
its tree does not keep (`:=` or `=` in a head, raw templates) is looked up in the source.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final

from authz.rego import nodes, parser
from authz.rego.builtins.registry import OBJECT, STRING, builtin
from authz.rego.errors import BuiltinError, CompileError
from authz.rego.lexer import read
from authz.rego.nodes import Location, Term
from authz.rego.tokens import Kind, Token
from authz.rego.values import Boolean, Null, Value, from_json, order_key

_NAME: Final = "rego.parse_module"
_MAX_SOURCE: Final = 256 * 1024
"""Characters of a module that is parsed during an evaluation."""

Tree = dict[str, Any]

_OPENERS: Final = frozenset({Kind.LPAREN, Kind.LBRACK})
_CLOSERS: Final = frozenset({Kind.RPAREN, Kind.RBRACK})
_ORDER: Final = (
    "null", "boolean", "number", "string", "var", "ref", "array", "object", "set",
    "arraycomprehension", "objectcomprehension", "setcomprehension", "call", "templatestring",
)  # fmt: skip


@builtin(_NAME, STRING, STRING, result=OBJECT)
def parse_module(file: str, source: str) -> Value:
    """Return the tree of a v1 module."""
    if len(source) > _MAX_SOURCE:
        raise BuiltinError(f"{_NAME}: module is longer than {_MAX_SOURCE} characters")
    try:
        module = parser.parse_module(file, source)
        return from_json(_Writer(file, source).module(module))
    except CompileError as error:
        raise BuiltinError(f"{_NAME}: {_worded(error)}") from None
    except (ValueError, RecursionError) as error:
        raise BuiltinError(f"{_NAME}: module is nested too deeply: {error}") from None


def _worded(error: CompileError) -> str:
    """Return an error as OPA prints it: on one line with the source below, or one line each."""
    lines = [f"{each.location.file}:{each.location.row}: {each.code}: {each.message}" for each in error.diagnostics]
    if len(lines) > 1:
        return "\n".join([f"{len(lines)} errors occurred:", *lines])
    first = error.diagnostics[0]
    shown = "" if first.source_line is None else f"\n\t{first.source_line}\n\t{' ' * (first.location.col - 1)}^"
    return f"1 error occurred: {lines[0]}{shown}"


class _Writer:
    """Writes the tree of one source."""

    def __init__(self, file: str, source: str) -> None:
        lexed = read(file, source)
        self.file = file
        self.lines = source.split("\n")
        self.tokens = lexed.tokens
        self.comments = lexed.comments
        self.places = {(token.row, token.col): index for index, token in enumerate(lexed.tokens)}

    def module(self, module: nodes.Module) -> Tree:
        tree: Tree = {"package": {"path": _path("data", module.package)}}
        if module.imports:
            tree["imports"] = [_import(each) for each in module.imports]
        if module.rules:
            tree["rules"] = [self._rule(rule) for rule in module.rules]
        if self.comments:
            tree["comments"] = [
                {
                    "Text": base64.b64encode(each.text.encode("utf-8", "replace")).decode(),
                    "Location": {"file": self.file, "row": each.row, "col": each.col},
                }
                for each in self.comments
            ]
        return tree

    def _rule(self, rule: nodes.Rule) -> Tree:
        tree: Tree = {"head": self._head(rule), "body": self._body(rule.body) or [{"index": 0, "terms": _typed("boolean", True)}]}
        if rule.is_default:
            tree["default"] = True
        if rule.orelse is not None:
            tree["else"] = self._rule(rule.orelse)
        return tree

    def _head(self, rule: nodes.Rule) -> Tree:
        head = rule.head
        ref = head.ref
        tree: Tree = {"ref": self.term(ref)["value"]}
        if head.args is not None:
            tree["args"] = [self.term(arg) for arg in head.args]
        if head.key is not None:
            tree["key"] = self.term(head.key)
        if head.value is not None:
            tree["value"] = self.term(head.value)
        sign = self._sign(rule)
        # OPA names `p` always, `p[x]` and `p.q` where a value is written, and nothing longer.
        is_stepped = len(ref.args) == 1 and head.key is None
        if isinstance(ref.head, nodes.Var) and (not ref.args or (is_stepped and sign is not None)):
            tree["name"] = ref.head.name
        is_fact = not rule.body and not rule.is_default and (head.location.row, head.location.col) == (ref.location.row, ref.location.col)
        if is_stepped and (is_fact or not isinstance(ref.args[0], nodes.Scalar)):
            tree["key"] = self.term(ref.args[0])
        if sign is Kind.ASSIGN:
            tree["assign"] = True
        return tree

    def _sign(self, rule: nodes.Rule) -> Kind | None:
        """Return what stands between a head and its value: the first thing behind the reference and the arguments, or `else`."""
        start = self.places.get((rule.head.location.row, rule.head.location.col))
        if start is None:
            return None
        depth = 0
        previous = self.tokens[start]
        for token in self.tokens[start + 1 :]:
            depth += (token.kind in _OPENERS) - (previous.kind in _CLOSERS)
            if depth == 0 and not _continues(previous, token):
                return token.kind if token.kind in {Kind.ASSIGN, Kind.UNIFY} else None
            previous = token
        return None

    def _body(self, body: nodes.Body) -> list[Tree]:
        return [self._literal(literal, index) for index, literal in enumerate(body)]

    def _literal(self, literal: nodes.Literal, index: int) -> Tree:
        tree: Tree = {"index": index, "terms": self._expression(literal.expr)}
        if literal.negated:
            tree["negated"] = True
        if literal.withs:
            tree["with"] = [{"target": self.term(item.target), "value": self.term(item.value)} for item in literal.withs]
        return tree

    def _expression(self, expression: nodes.Expr) -> Any:
        match expression:
            case nodes.TermExpr(term):
                return self._statement(term)
            case nodes.Unify(left, right):
                return [_operator("eq"), self.term(left), self.term(right)]
            case nodes.Assign(left, right):
                return [_operator("assign"), self.term(left), self.term(right)]
            case nodes.SomeDecl(names):
                return {"symbols": [self.term(name) for name in names]}
            case nodes.SomeIn(key, value, domain):
                operands = (value, domain) if key is None else (key, value, domain)
                return {"symbols": [self._call(("internal", f"member_{len(operands)}"), operands)]}
            case nodes.Every(key, value, domain, body):
                name = None if key is None else self.term(key)
                return {"key": name, "value": self.term(value), "domain": self.term(domain), "body": self._body(body)}
            case nodes.Not(operand):
                return {"type": "not", "body": self._body(operand.body), "explicit_body": operand.is_explicit}
            case nodes.Logical(operator, operands):
                return self._logical(operator, operands)

    def _logical(self, operator: str, operands: tuple[nodes.Operand, ...]) -> Tree:
        """Return a row of operands as OPA has it: two at a time, from the left."""
        first, *others = operands
        tree: Tree = {}
        left, is_explicit = self._body(first.body), first.is_explicit
        for operand in others:
            tree = {"type": operator, "lhs": left, "rhs": self._body(operand.body)}
            tree |= {side: True for side, given in (("explicit_lhs", is_explicit), ("explicit_rhs", operand.is_explicit)) if given}
            left, is_explicit = [{"index": 0, "terms": tree}], False
        return tree

    def _statement(self, term: Term) -> Any:
        """Return the terms of an expression that is one term: a call is written as its parts."""
        return self.term(term)["value"] if isinstance(term, nodes.Call) else self.term(term)

    def term(self, term: Term) -> Tree:
        """Return the tree of a term."""
        match term:
            case nodes.Scalar(value):
                return _scalar(value)
            case nodes.Var(name):
                return _operator(name) if name in {"input", "data"} else _typed("var", name)
            case nodes.Ref(head, args):
                start = _typed("var", head.name) if isinstance(head, nodes.Var) else self.term(head)
                return _typed("ref", [*(start["value"] if start["type"] == "ref" else [start]), *map(self.term, args)])
            case nodes.Call(operator, args):
                return self._call(operator, args)
            case nodes.Array(items):
                return _typed("array", [self.term(item) for item in items])
            case nodes.SetTerm(items):
                return _typed("set", _sorted(self.term(item) for item in items))
            case nodes.ObjectTerm(pairs):
                return _typed("object", sorted(([self.term(key), self.term(value)] for key, value in pairs), key=_pair_order))
            case nodes.ArrayComprehension(inner, body):
                return _typed("arraycomprehension", {"term": self.term(inner), "body": self._body(body)})
            case nodes.SetComprehension(inner, body):
                return _typed("setcomprehension", {"term": self.term(inner), "body": self._body(body)})
            case nodes.ObjectComprehension(key, value, body):
                parts = {"key": self.term(key), "value": self.term(value), "body": self._body(body)}
                return _typed("objectcomprehension", parts)
            case nodes.TemplateString(parts, location):
                return _typed(
                    "templatestring", {"parts": [self._part(part) for part in parts] or None, "multi_line": self._is_raw(location)}
                )

    def _call(self, operator: tuple[str, ...], args: tuple[Term, ...]) -> Tree:
        return _typed("call", [_operator(*operator), *map(self.term, args)])

    def _part(self, part: str | Term) -> Tree:
        if isinstance(part, str):
            return _typed("string", part)
        return self.term(part) if isinstance(part, nodes.Scalar) else {"index": 0, "terms": self._statement(part)}

    def _is_raw(self, location: Location) -> bool:
        return self.lines[location.row - 1][location.col : location.col + 1] == "`"


def _continues(previous: Token, token: Token) -> bool:
    """Return whether a token goes on with the reference or the arguments before it."""
    return token.kind is Kind.DOT or token.kind in _OPENERS or previous.kind is Kind.DOT


def _typed(kind: str, value: Any) -> Tree:
    return {"type": kind, "value": value}


def _scalar(value: Value) -> Tree:
    if isinstance(value, Null):
        return _typed("null", {})
    if isinstance(value, Boolean):
        return _typed("boolean", bool(value))
    return _typed("string" if isinstance(value, str) else "number", value)


def _path(head: str, steps: Iterable[str]) -> list[Tree]:
    return [_typed("var", head), *(_typed("string", step) for step in steps)]


def _operator(head: str, *steps: str) -> Tree:
    return _typed("ref", _path(head, steps))


def _import(written: nodes.Import) -> Tree:
    tree: Tree = {"path": _operator(*written.path)}
    return tree | ({"alias": written.alias} if written.alias else {})


def _sorted(trees: Iterable[Tree]) -> list[Tree]:
    """Return the members of a set in OPA's order, each once."""
    found = sorted(trees, key=_order)
    return [tree for index, tree in enumerate(found) if index == 0 or tree != found[index - 1]]


def _pair_order(pair: list[Tree]) -> tuple[Any, ...]:
    return _order(pair[0])


def _order(tree: Tree) -> tuple[Any, ...]:
    return _ORDER.index(tree["type"]), order_key(from_json(tree["value"]))
