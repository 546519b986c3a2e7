"""Rules that compare method and path with constants: the shape that OPA's own index is made for."""

from __future__ import annotations

from typing import Any

from authz.rego import Document
from bench.families.case import HEADER, METHODS, VARIETY, Case, Family, Floor, asked, http_input


def build(rules: int) -> Case:
    """Return a policy with one rule an endpoint."""
    source = HEADER + "\n".join(_rule(number) for number in range(rules)) + "\n"
    return Case(source, asked(rules, _hit, lambda turn: _miss(rules, turn)), floor=lambda: _floor(rules))


def _path(number: int) -> str:
    return f"/v1/accounts/{number % 97}/statements/{number}"


def _rule(number: int) -> str:
    return f'allow if {{\n\thttp.method == "{METHODS[number % 4]}"\n\thttp.path == "{_path(number)}"\n}}\n'


def _hit(number: int, _turn: int) -> Document:
    return http_input(METHODS[number % 4], _path(number))


def _miss(rules: int, turn: int) -> Document:
    """Ask for a path of no rule, and every other time for that of a rule with another method."""
    number = turn * rules // VARIETY
    return http_input(METHODS[(number + turn) % 4], _path(number) if turn % 4 else f"{_path(number)}/draft")


def _floor(rules: int) -> Floor:
    endpoints = {(METHODS[number % 4], _path(number)) for number in range(rules)}

    def allow(document: Any) -> bool:
        http = document["attributes"]["request"]["http"]
        return (http["method"], http["path"]) in endpoints

    return allow


EQUALITY = Family("equality", build)
