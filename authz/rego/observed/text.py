"""Terms and literals as OPA writes them in traces: calls as calls, generated variables as `__local0__`.

Owns names and text; knows neither the order of evaluation nor values of variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatBody, FlatComprehension, FlatExpr, FlatLiteral, FlatLogical, FlatNot, FlatOperand
from authz.rego.names import step_text
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.render import to_text
from authz.rego.values import Value, order_key

_WILDCARD: Final = re.compile(r"\$[0-9]+")
_BRACKETS: Final = {"array": "[]", "set": "{}", "object": "{}"}


class Texts:
    """The text of one rule's or query's literals, its generated variables numbered as they appear."""

    def __init__(self) -> None:
        self._generated: dict[str, str] = {}

    def name(self, name: str) -> str:
        """Return a variable's name as the author wrote it, `_`, or a number's for one that the compiler made."""
        if not name.startswith("$"):
            return name.split("#", 1)[0] if " " not in name else "_"  # no author's: it holds an expression of a query
        if _WILDCARD.fullmatch(name):
            return "_"
        return self._generated.setdefault(name, f"__local{len(self._generated)}__")

    def body(self, body: FlatBody) -> str:
        return "; ".join(map(self.literal, body))

    def literal(self, literal: FlatLiteral) -> str:
        text = ("not " if literal.negated else "") + self._expr(literal.expr)
        return text + "".join(f" with {path_text(_target(item.target))} as {self._replacement(item.value)}" for item in literal.withs)

    def _replacement(self, value: Term) -> str:
        if isinstance(value, Ref) and isinstance(value.head, Var) and value.head.name in {"builtin", "function"}:
            return path_text(_target(value))
        return self.term(value)

    def _expr(self, expr: FlatExpr) -> str:
        match expr:
            case nodes.TermExpr(term):
                return self.term(term)
            case EqualExpr(left, right) | nodes.Unify(left, right):
                return f"{self.term(left)} = {self.term(right)}"
            case CallExpr(operator, args, out):
                return self._call(operator, args if out is None else (*args, out))
            case nodes.SomeIn(key, value, domain):
                shown = self.term(value) if key is None else f"{self.term(key)}, {self.term(value)}"
                return f"some {shown} in {self.term(domain)}"
            case nodes.Every(key, value, domain, body):
                shown = self.term(value) if key is None or key.is_wildcard else f"{self.term(key)}, {self.term(value)}"
                return f"every {shown} in {self.term(domain)} {{ {self.body(body)} }}"  # type: ignore[arg-type]  # flat since expansion

            case FlatNot(operand):
                if operand.is_explicit or len(operand.body) > 1:
                    return f"not {{{self.body(operand.body)}}}"
                text = self.body(operand.body)
                return f"not ({text})" if isinstance(operand.body[0].expr, FlatLogical) else f"not {text}"
            case FlatLogical(operator, operands):
                return f" {operator} ".join(self._operand(operator, operand) for operand in operands)

    def _operand(self, operator: str, operand: FlatOperand) -> str:
        text = self.body(operand.body)
        if operand.is_explicit or len(operand.body) > 1:
            return f"{{ {text} }}"
        expr = operand.body[0].expr
        return f"({text})" if operator == "and" and isinstance(expr, FlatLogical) and expr.operator == "or" else text

    def _call(self, operator: tuple[str, ...], args: Iterable[Term]) -> str:
        return f"{path_text(operator)}({', '.join(map(self.term, args))})"

    def term(self, term: Term) -> str:
        match term:
            case Scalar(value):
                return to_text(value)
            case Var(name):
                return self.name(name)
            case Ref(head, args):
                return self.term(head) + "".join(map(self._step, args))
            case nodes.Call(operator, args):
                return self._call(operator, args)
            case nodes.Array(items):
                return f"[{', '.join(map(self.term, items))}]"
            case nodes.SetTerm(items):
                return f"{{{', '.join(self.term(item) for item, _ in in_order(zip(items, items, strict=True)))}}}" if items else "set()"
            case nodes.ObjectTerm(pairs):
                return "{" + ", ".join(f"{self.term(key)}: {self.term(value)}" for key, value in in_order(pairs)) + "}"
        if isinstance(term, FlatComprehension):
            opening, closing = _BRACKETS[term.kind]
            key = "" if term.key is None else f"{self.term(term.key)}: "
            return f"{opening}{key}{self.term(term.value)} | {self.body(term.body)}{closing}"
        raise AssertionError(term)

    def _step(self, step: Term) -> str:
        if isinstance(step, Scalar) and isinstance(step.value, str):
            return step_text(step.value)
        return f"[{self.term(step)}]"


def path_text(path: Iterable[Value]) -> str:
    """Return a path whose head is as it is, also if it is a keyword: built-ins are called so."""
    head, *steps = path
    return str(head) + "".join(map(step_text, steps))


def _target(target: Term) -> Iterable[Value]:
    """Return the path that a `with` names."""
    assert isinstance(target, Ref)
    assert isinstance(target.head, Var)
    steps = [step.value for step in target.args if isinstance(step, Scalar)]
    if target.head.name == "builtin":
        return str(steps[0]).split(".")
    return steps if target.head.name == "function" else (target.head.name, *steps)


def in_order(pairs: Iterable[tuple[Term, Term]]) -> list[tuple[Term, Term]]:
    """Return the pairs of an object in the order of their keys, as OPA keeps them; those with variables stay behind the others."""
    found = dict(pairs)
    constants = sorted((key for key in found if isinstance(key, Scalar)), key=lambda key: order_key(key.value))
    return [*((key, found[key]) for key in constants), *((key, value) for key, value in found.items() if not isinstance(key, Scalar))]
