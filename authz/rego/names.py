"""Global names: what the bodies of a module can refer to besides their own variables.

Owns imports and the lists of rules and functions by package. Knows no scopes and resolves nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from authz.rego import errors, nodes
from authz.rego.errors import Findings, Stage
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.render import to_text
from authz.rego.tokens import KEYWORDS
from authz.rego.values import Value


def original_name(name: str) -> str:
    """Return the name as the author wrote it."""
    return "_" if name.startswith("$") else name.split("#", 1)[0]


def path_text(path: Iterable[Value]) -> str:
    """Return a path as it is written in Rego: `data.a["b c"][1]`."""
    return "".join(map(step_text, path)).removeprefix(".")


def step_text(step: Value) -> str:
    """Return a step of a path behind what it leads on from: `.a`, or `["b c"]`."""
    is_name = isinstance(step, str) and step.isascii() and step.isidentifier() and step not in KEYWORDS
    return f".{step}" if is_name else f"[{to_text(step)}]"


@dataclass(frozen=True, slots=True)
class Globals:
    """What a module's bodies can name besides their own variables."""

    package: tuple[str, ...]
    imports: dict[str, tuple[str, ...]]
    rules: frozenset[str]
    functions: Mapping[tuple[str, ...], int]
    """The number of arguments of every function, by its path."""
    documents: Set[tuple[str, ...]] = frozenset()
    """The constant parts of the paths of all rules that are no functions."""
    heads: Mapping[tuple[str, ...], nodes.Head] = field(default_factory=dict)
    """How every function is written, by its path."""
    rego_version: int = 0


def global_names(modules: Iterable[nodes.Module], findings: Findings) -> dict[str, Globals]:
    """Return the global scope of every module, by file. Reports imports that bring a name twice."""
    modules = tuple(modules)
    rules: dict[tuple[str, ...], set[str]] = {}
    functions: dict[tuple[str, ...], int] = {}
    documents: set[tuple[str, ...]] = set()
    heads: dict[tuple[str, ...], nodes.Head] = {}
    for module in modules:
        for rule in module.rules:
            rules.setdefault(module.package, set()).add(head_name(rule.head))
            path = ("data", *module.package, *ground_path(rule.head.ref))
            if rule.head.args is None:
                documents.add(path)
            else:
                functions.setdefault(path, len(rule.head.args))
                heads.setdefault(path, rule.head)
    return {
        module.file: Globals(
            module.package,
            imported(module, findings),
            frozenset(rules.get(module.package, ())),
            functions,
            documents,
            heads,
            module.rego_version,
        )
        for module in modules
    }


def head_name(head: nodes.Head) -> str:
    """Return the first name of a rule's head."""
    assert isinstance(head.ref.head, Var)
    return head.ref.head.name


def head_text(head: nodes.Head) -> str:
    """Return the head of a function as it is written, its patterns shortened."""
    return f"{ground_path(head.ref)[-1]}({', '.join(map(_pattern_text, head.args or ()))})"


def _pattern_text(term: nodes.Term) -> str:
    match term:
        case Var(name):
            return original_name(name)
        case Scalar(value):
            return to_text(value)
        case nodes.Array():
            return "[…]"
    return "{…}" if isinstance(term, nodes.ObjectTerm | nodes.SetTerm) else "…"


def ground_path(ref: Ref) -> tuple[str, ...]:
    """Return the leading name and string steps of a head's reference."""
    assert isinstance(ref.head, Var)
    path = [ref.head.name]
    for arg in ref.args:
        if not (isinstance(arg, Scalar) and isinstance(arg.value, str)):
            break
        path.append(arg.value)
    return tuple(path)


def constants(terms: Iterable[Term]) -> tuple[Value, ...]:
    """Return the values of the leading constant terms."""
    return tuple(term.value for term in itertools.takewhile(lambda term: isinstance(term, Scalar), terms) if isinstance(term, Scalar))


def constant_path(rule: nodes.Rule) -> tuple[Value, ...]:
    """Return the path of a rule below its package, as far as it is constant."""
    ref = rule.head.ref
    assert isinstance(ref.head, Var)
    return (ref.head.name, *constants(ref.args))


def dotted(term: Term) -> tuple[str, ...] | None:
    """Return the names of a purely dotted term, else None."""
    if isinstance(term, Var):
        return (term.name,)
    if isinstance(term, Ref) and isinstance(term.head, Var):
        parts = [arg.value for arg in term.args if isinstance(arg, Scalar) and isinstance(arg.value, str)]
        if len(parts) == len(term.args):
            return (term.head.name, *parts)
    return None


def imported(module: nodes.Module, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Return the paths that a module's imports name; those that shadow another one are reported."""
    first: dict[str, nodes.Import] = {}
    for item in module.imports:
        known = first.setdefault(item.name, item)
        if known is not item and module.rego_version == 1:
            message, help = (
                f"import must not shadow {_import_text(known)}",
                f"it is imported at {known.location}: remove this one, or use an alias",
            )
            findings.report(errors.COMPILE, message, item.location, help=help, check=Stage.IMPORTS)
    return {item.name: item.path for item in module.imports if item.path[0] in {"input", "data"}}


def _import_text(item: nodes.Import) -> str:
    return f"import {path_text(item.path)}" + (f" as {item.alias}" if item.alias else "")
