"""Shorthand for syntax trees in tests: nodes without locations, and parsing of one construct."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego import nodes, parser
from authz.rego.errors import CompileError
from authz.rego.values import boolean

Term = nodes.Term


def lit(value: str | int | Decimal | bool) -> nodes.Scalar:
    return nodes.Scalar(boolean(value) if isinstance(value, bool) else value)


def var(name: str) -> nodes.Var:
    return nodes.Var(name)


def ref(head: str | Term, *steps: Term | str | int) -> nodes.Ref:
    head = nodes.Var(head) if isinstance(head, str) else head
    return nodes.Ref(head, tuple(lit(step) if isinstance(step, str | int) else step for step in steps))


def call(operator: str, *args: Term) -> nodes.Call:
    return nodes.Call(tuple(operator.split(".")), args)


def term(source: str) -> Term:
    return parser.parse_term(source)


def body(source: str, rego_version: int = 1) -> nodes.Body:
    return parser.parse_query(source, rego_version)


def expr(source: str) -> nodes.Expr:
    (literal,) = body(source)
    return literal.expr


def module(source: str, rego_version: int = 1) -> nodes.Module:
    return parser.parse_module("a.rego", "package a\n" + source, rego_version)


def rules(source: str, rego_version: int = 1) -> tuple[nodes.Rule, ...]:
    return module(source, rego_version).rules


def rule(source: str, rego_version: int = 1) -> nodes.Rule:
    (only,) = rules(source, rego_version)
    return only


def refused(source: str, rego_version: int = 1) -> CompileError:
    """Return the error of a module that consists of `package a` and `source`."""
    with pytest.raises(CompileError) as caught:
        module(source, rego_version)
    assert caught.value.code == "rego_parse_error"
    return caught.value


def is_accepted(source: str, rego_version: int = 1) -> bool:
    try:
        module(source, rego_version)
    except CompileError:
        return False
    return True
