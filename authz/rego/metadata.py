"""`rego.metadata.rule()` and `rego.metadata.chain()`: replaced by what the METADATA blocks around the call say.

A pass over parsed modules, as in OPA's compiler: behind it, no such call is left and no
annotation is needed. Owns which annotations belong to which rule across modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from authz.rego import errors, nodes
from authz.rego.names import Globals, constant_path
from authz.rego.nodes import Annotation, Location, Rule, Term
from authz.rego.treewalk import parts, walk
from authz.rego.values import Object, Scalar, Value, from_json

_RULE: Final = ("rego", "metadata", "rule")
_CHAIN: Final = ("rego", "metadata", "chain")
_CALLS: Final = frozenset({_RULE, _CHAIN})

Path = tuple[Value, ...]


def expand_metadata(modules: Iterable[nodes.Module], scopes: Mapping[str, Globals], known: Annotations) -> tuple[nodes.Module, ...]:
    """Return the modules, of which these are the annotations, without calls of `rego.metadata`."""
    return tuple(_expanded(module, scopes[module.file], known) for module in modules)


@dataclass(slots=True)
class Annotations:
    """The annotations that count beyond the rule they stand before, by path."""

    documents: dict[Path, Annotation] = field(default_factory=dict)
    packages: dict[Path, Annotation] = field(default_factory=dict)
    subpackages: dict[Path, Annotation] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    """The package of each module."""

    def around(self, package: Path, path: Path) -> Iterator[tuple[Path, Annotation]]:
        """Yield what holds in the rules at a path but is not written at one of them alone, outwards; each with its path."""
        if path in self.documents:
            yield path, self.documents[path]
        if package in self.packages:
            yield package, self.packages[package]
        for size in range(len(package), 0, -1):
            if package[:size] in self.subpackages:
                yield package[:size], self.subpackages[package[:size]]

    def of_rule(self, rule: Rule, path: Path) -> list[Annotation]:
        """Return what holds in a rule at a path, from the inside outwards."""
        return [*_own(rule), *(annotation for _, annotation in self.around(self.files[rule.location.file], path))]


def collect(modules: Iterable[nodes.Module]) -> Annotations:
    """Return the annotations of all modules. Raises CompileError for a scope that is annotated twice."""
    known = Annotations()
    for module in modules:
        known.files[module.file] = module.package
        if not module.annotations:
            continue
        for annotation in module.annotations:
            if annotation.scope == "package":
                _note(known.packages, module.package, annotation)
            elif annotation.scope == "subpackages":
                _note(known.subpackages, module.package, annotation)
        for rule in module.rules:
            for annotation in rule.annotations:
                if annotation.scope == "document":
                    _note(known.documents, _path(module, rule), annotation)
    return known


def _note(known: dict[Path, Annotation], path: Path, annotation: Annotation) -> None:
    first = known.setdefault(path, annotation)
    if first is not annotation:
        where = f"{first.location.file}:{first.location.row}"
        message = f"{annotation.scope} annotation redeclared: {where}"
        raise errors.compile_error(errors.TYPE, message, annotation.location, help="annotate a document or a package once")


def _path(module: nodes.Module, rule: Rule) -> Path:
    """Return the path of a rule below `data`, as far as it is constant."""
    return (*module.package, *constant_path(rule))


def _expanded(module: nodes.Module, scope: Globals, known: Annotations) -> nodes.Module:
    is_something_else = "rego" in scope.rules or "rego" in scope.imports
    if is_something_else or not any(_calls(rule) for rule in module.rules):
        return module
    return replace(module, rules=tuple(_rule(module, rule, known) for rule in module.rules))


def _rule(module: nodes.Module, rule: Rule, known: Annotations) -> Rule:
    """Return a rule with its calls replaced; every link of an `else` chain has annotations of its own, which is none."""
    orelse = None if rule.orelse is None else _rule(module, rule.orelse, known)
    rule = replace(rule, orelse=orelse) if orelse is not rule.orelse else rule
    if not _calls(replace(rule, orelse=None)):
        return rule
    own = _own(rule)
    constants: dict[tuple[str, ...], Value] = {_RULE: from_json(own[-1].document if own else {}), _CHAIN: _chain(module, rule, own, known)}
    rewritten = _Rewriter(constants).node(rule)
    assert isinstance(rewritten, Rule)
    return rewritten


def _own(rule: Rule) -> list[Annotation]:
    """Return a rule's own annotations, the nearest first."""
    return sorted((each for each in rule.annotations if each.scope == "rule"), key=lambda each: each.location.row, reverse=True)


def _chain(module: nodes.Module, rule: Rule, own: list[Annotation], known: Annotations) -> Value:
    """Return the annotations from the rule outwards; the rule has an entry even without any."""
    path = _path(module, rule)
    links: list[tuple[Path, Annotation | None]] = [(path, annotation) for annotation in own] or [(path, None)]
    links += known.around(module.package, path)
    return tuple(_link(path, annotation) for path, annotation in links)


def _link(path: Path, annotation: Annotation | None) -> Value:
    link = Object({"path": path})
    if annotation is not None:
        link["annotations"] = from_json(annotation.document)
    return link


def _calls(root: Any) -> bool:
    """Return whether a node calls `rego.metadata` anywhere."""
    return any(node.__class__ is nodes.Call and node.operator in _CALLS for node in walk(root))


class _Rewriter:
    """Puts constants in the place of one rule's calls."""

    def __init__(self, constants: dict[tuple[str, ...], Value]) -> None:
        self.constants = constants

    def node(self, node: Any) -> Any:
        """Return a node with its calls replaced; the same node if it has none."""
        if isinstance(node, tuple):
            return tuple(map(self.node, node))
        if isinstance(node, nodes.Call) and node.operator in self.constants and not node.args:
            return _term(self.constants[node.operator], node.location)
        if isinstance(node, nodes.TermExpr) and isinstance(node.term, nodes.Call):
            call = node.term
            if call.operator in self.constants and len(call.args) == 1:
                # The form with the result's pattern as an argument, which compiled modules have.
                return nodes.Unify(_term(self.constants[call.operator], call.location), self.node(call.args[0]))
        changes = dict(self._changes(node))
        return replace(node, **changes) if changes else node

    def _changes(self, node: Any) -> Iterator[tuple[str, Any]]:
        for name in parts(node.__class__):
            before = getattr(node, name)
            after = self.node(before)
            if after is not before and after != before:
                yield name, after


def _term(value: Value, location: Location) -> Term:
    """Return the term that is a constant."""
    if isinstance(value, Object):
        return nodes.ObjectTerm(tuple((_term(key, location), _term(value[key], location)) for key in value.ordered()), location)
    if isinstance(value, tuple):
        return nodes.Array(tuple(_term(item, location) for item in value), location)
    return nodes.Scalar(cast(Scalar, value), location)
