"""What a definition's body says of references, as far as OPA can index it.

Owns which expressions count and what a variable stands for; looks nothing up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatLiteral
from authz.rego.nodes import Ref, Scalar, Term, Var
from authz.rego.observed.plans import Definition
from authz.rego.program import Node
from authz.rego.values import Value

ANY: Final = Var("__any__")
"""What a reference equals that only has to be there."""

Place = tuple[str, tuple[Value, ...]]
"""What is indexed: `input` or `data` with a path, or `args` with the number of an argument."""


def is_constant(term: Term) -> bool:
    match term:
        case Scalar():
            return True
        case nodes.Array(items) | nodes.SetTerm(items):
            return all(map(is_constant, items))
        case nodes.ObjectTerm(pairs):
            return all(is_constant(part) for pair in pairs for part in pair)
    return False


@dataclass(frozen=True, slots=True)
class Entry:
    """What a definition says of a place; `delimiters` split a text that a glob pattern is matched with."""

    place: Place
    term: Term
    delimiters: str = ""


@dataclass(slots=True)
class Facts:
    """What one definition's body says of references, as far as OPA can index it."""

    definition: Definition
    root: Node
    entries: list[Entry] = field(default_factory=list)
    inserted: list[Place] = field(default_factory=list)
    constants: dict[str, Term] = field(default_factory=dict)

    def __post_init__(self) -> None:
        literals = self.definition.literals
        if not any(_prints(literal) for literal in literals):
            for literal in literals:
                if not literal.negated and not literal.withs:
                    self._note(literal)

    def _note(self, literal: FlatLiteral) -> None:
        match literal.expr:
            case nodes.TermExpr(Ref() as ref):
                if (place := self._place(ref)) is not None:
                    self._insert(place, ANY)
            case EqualExpr(left, right) | nodes.Unify(left, right):
                if not (self._any_step(left, right) or self._any_step(right, left) or self._equal(left, right)):
                    self._equal(right, left)
            case CallExpr(("glob", "match"), (pattern, delimiters, Var(name)), None):
                self._glob(pattern, delimiters, name)
            case CallExpr(("internal", "member_2"), (member, collection), None):
                self._member(member, collection)

    def _place(self, ref: Ref) -> Place | None:
        """Return the place of a reference to input or base data without variables."""
        steps = tuple(step.value for step in ref.args if isinstance(step, Scalar))
        head = ref.head.name if isinstance(ref.head, Var) else ""
        if len(steps) != len(ref.args) or head not in {"input", "data"}:
            return None
        return None if head == "data" and _is_virtual(self.root, steps) else (head, steps)

    def _known(self, name: str) -> Place | None:
        """Return the place whose value a variable has: of a reference bound before, or of an argument."""
        for entry in self.entries:
            if entry.term == Var(name):
                return entry.place
        for number, arg in enumerate(self.definition.args):
            if arg == Var(name):
                return "args", (number,)
        return None

    def _insert(self, place: Place, term: Term, delimiters: str = "") -> None:
        self.inserted.append(place)
        entry = Entry(place, term, delimiters)
        for index, other in enumerate(self.entries):
            if other.place == place:
                if other.term == term:
                    return
                if isinstance(other.term, Var) and not isinstance(term, Var):
                    self.entries[index] = entry
                    return
        self.entries.append(entry)

    def _value(self, term: Term) -> Term | None:
        """Return what a variable is known to be, else the term; None if it is nothing that OPA can index."""
        if isinstance(term, Var):
            return self.constants.get(term.name, term)
        return term if _is_indexable(term) else None

    def _any_step(self, ref: Term, other: Term) -> bool:
        """Note `ref[_] == scalar`."""
        if not isinstance(ref, Ref) or not ref.args or isinstance(ref.args[-1], Scalar):
            return False
        place, value = self._place(Ref(ref.head, ref.args[:-1])), self._value(other)
        if place is None or not isinstance(value, Scalar):
            return False
        self._insert(place, value)
        return True

    def _equal(self, left: Term, right: Term) -> bool:
        if isinstance(left, Var):
            if is_constant(right):
                self.constants[left.name] = right
            known = self._known(left.name)
            if known is None or not (isinstance(right, Var) or _is_indexable(right)):
                return False
            self._insert(known, right)
            return True
        place = self._place(left) if isinstance(left, Ref) else None
        value = self._value(right)
        if place is None or value is None:
            return False
        self._insert(place, value)
        return True

    def _glob(self, pattern: Term, delimiters: Term, name: str) -> None:
        if not isinstance(delimiters, nodes.Array) or not isinstance(pattern, Scalar) or not isinstance(pattern.value, str):
            return
        texts = [item.value for item in delimiters.items if isinstance(item, Scalar) and isinstance(item.value, str)]
        parts = _glob_parts(pattern.value, "".join(texts) or ".")
        place = self._known(name)
        if len(texts) == len(delimiters.items) and parts is not None and place is not None:
            self._insert(place, nodes.Array(parts), "".join(texts) or ".")

    def _member(self, member: Term, collection: Term) -> None:
        place = self._known(member.name) if isinstance(member, Var) else None
        if place is not None:
            for item in _members(self._value(collection) or collection):
                self._insert(place, item)
            return
        into = self._place(collection) if isinstance(collection, Ref) else None
        if isinstance(collection, Var) and (known := self._known(collection.name)) is not None and known[0] != "args":
            into = known
        if into is not None and isinstance(member, Var | Scalar):
            self._insert(into, self.constants.get(member.name, member) if isinstance(member, Var) else member)


def _prints(literal: FlatLiteral) -> bool:
    """Tell whether a literal prints: what it prints must not be lost because the index excludes its rule."""
    if isinstance(literal.expr, nodes.Every):
        return any(_prints(inner) for inner in literal.expr.body)  # type: ignore[arg-type]  # flat since expansion
    return isinstance(literal.expr, CallExpr) and literal.expr.operator == ("internal", "print")


def _is_virtual(root: Node, steps: Sequence[Value]) -> bool:
    node: Node | None = root
    for step in steps:
        node = node.children.get(step) if node is not None and isinstance(step, str) else None
        if node is None:
            return False
        if node.group is not None:
            return True
    return True


def _is_indexable(term: Term) -> bool:
    """Tell whether a term is a scalar, or an array of scalars and variables."""
    if isinstance(term, nodes.Array):
        return all(isinstance(item, Scalar | Var) for item in term.items)
    return isinstance(term, Scalar)


def _members(term: Term) -> Iterator[Term]:
    match term:
        case nodes.Array(items) | nodes.SetTerm(items):
            yield from items
        case nodes.ObjectTerm(pairs):
            yield from (value for _, value in pairs)


def _glob_parts(pattern: str, delimiters: str) -> tuple[Term, ...] | None:
    """Return a glob pattern as an array to match, `*` as a variable; None if it needs more than that."""
    parts: list[Term] = []
    for part in split(pattern, delimiters):
        if part == "*":
            parts.append(ANY)
            continue
        escaped = False
        for char in part:
            if char == "\\":
                escaped = not escaped
            elif not escaped and char in "[?{*":
                return None
            else:
                escaped = False
        parts.append(Scalar(part))
    return tuple(parts)


def split(text: str, delimiters: str) -> list[str]:
    parts, last, escaped = [], 0, False
    for index, char in enumerate(text):
        if char == "\\" or escaped:
            escaped = not escaped
        elif char in delimiters:
            parts.append(text[last:index])
            last = index + 1
    return [*parts, text[last:]]
