"""Plans that keep their literals: what an observed evaluation runs.

Owns how rules become bodies of stages, one for every expression that OPA evaluates by itself, each with the steps of the
ordinary plan. Names, safety and lowering are the compiler's own. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from authz.rego import nodes, safety, variables
from authz.rego import plan as p
from authz.rego.expand import FlatBody, FlatLiteral, FlatOperand
from authz.rego.lower import ROOT_CONTEXT, TRUE_ATOM, Lowerer, Names
from authz.rego.nodes import NOWHERE, Location, Term
from authz.rego.observed.rewrite import Rewriter, is_true
from authz.rego.observed.spans import Span
from authz.rego.observed.text import Texts, path_text
from authz.rego.planlocals import used_names
from authz.rego.planner import Planned
from authz.rego.program import Group, Member


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One literal: its steps, the variables known before and behind it, and the locals of documents that are only looked into.

    Of such a document only what is looked for is evaluated. `index` is its place in its body.
    """

    index: int
    literal: FlatLiteral
    steps: p.Block
    before: Mapping[str, p.Atom]
    variables: Mapping[str, p.Atom]
    looked_into: frozenset[str]
    texts: Texts

    @property
    def location(self) -> Location:
        return self.literal.location

    @property
    def text(self) -> str:
        return self.texts.literal(self.literal)


class Body(tuple[p.Step, ...]):
    """A block of a plan with its stages; `tail` are the steps that make the terms of a head out of variables."""

    stages: tuple[Stage, ...] = ()
    tail: p.Block = ()

    @property
    def location(self) -> Location:
        return self.stages[0].location if self.stages else NOWHERE

    @property
    def text(self) -> str:
        return "; ".join(stage.text for stage in self.stages)


class StageLowerer(Lowerer):
    """The lowerer, noting which steps are which literal's. What one literal has computed the next computes anew, as in OPA."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # the lowerer's own
        self.stages: list[Stage] = []
        self.done = 0
        self.texts = Texts()

    def child(self) -> StageLowerer:
        child = super().child()
        assert isinstance(child, StageLowerer)
        child.texts = self.texts
        return child

    def literal(self, literal: FlatLiteral) -> None:
        self.known.clear()
        before = dict(self.env)
        if literal.negated:
            self._negated(literal)
        else:
            super().literal(literal)
        steps, self.done = tuple(self.steps[self.done :]), len(self.steps)
        self.stages.append(Stage(len(self.stages), literal, steps, before, dict(self.env), frozenset(_looked_into(steps)), self.texts))

    def _negated(self, literal: FlatLiteral) -> None:
        outer = self.ctx
        if literal.withs:
            self.ctx = self._scope(literal)
        inner = self.child()
        inner.literal(replace(literal, negated=False, withs=()))
        self._check(p.NoSolution(inner.block()), literal.location)
        self.ctx = outer

    def _must_hold(self, operand: FlatOperand, location: Location) -> None:
        """As the lowerer; what an operand is stays a body of its own."""
        self._check(p.NoSolution((p.Check(p.NoSolution(self._nested(operand.body)), location),)), location)

    def block(self) -> Body:
        body = Body(self.steps)
        body.stages, body.tail = tuple(self.stages), tuple(self.steps[self.done :])
        return body

    def take(self) -> p.Block:
        """Return the steps of no literal so far, which are then nobody's."""
        steps, self.done = tuple(self.steps[self.done :]), len(self.steps)
        return steps


def _looked_into(steps: p.Block) -> Iterator[str]:
    """Yield the locals of documents whose first use is a look into them."""
    for index, step in enumerate(steps):
        match step:
            case p.Let(name, p.RuleValue() | p.Document() | p.Lookup()) | p.Loop(value=str(name)):
                following = next((other for other in steps[index + 1 :] if name in used_names((other,))), None)
                if _looks_into(following, p.Local(name)):
                    yield name


def _looks_into(step: p.Step | None, local: p.Local) -> bool:
    match step:
        case p.Let(_, p.Lookup(base, key)):
            return base == local != key
        case p.Loop(collection):
            return collection == local
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A definition with some keys of its head given: the steps that match them, its body and the atoms of its head."""

    match: p.Block
    body: Body
    keys: tuple[p.Atom, ...]
    value: p.Atom


class Definition:
    """One rule of a group (or a link of an `else` chain), rewritten. `keys` are the terms of its head below the group's path.

    The member of a set is the last of them, so that a set's definition has no value of its own.
    """

    def __init__(self, planned: Planned, group: Group, member: Member) -> None:
        self.planned = planned
        self.rule = member.rule
        self.path = group.path
        self.texts = Texts()
        rewriter = Rewriter(planned.program.groups)
        head = member.rule.head
        self.is_member = head.key is not None
        flat = rewriter.body(member.rule.body)
        for_keys, keys = rewriter.keys(member.keys)
        size, value = len(head.args or ()), head.key if head.value is None else head.value
        for_terms, terms = rewriter.head((*(head.args or ()), *(() if value is None else (value,))))
        self.args = terms[:size]
        self.keys = (*keys, *terms[size:]) if self.is_member else keys
        self.value = None if self.is_member else terms[-1]
        extras = for_keys + for_terms
        body = tuple(extras if extras and is_true(flat) else flat + extras)
        bound = frozenset(var.name for arg in self.args for var in variables.term_vars(arg, nested=False))
        self.literals: FlatBody = rewriter.compiled(safety.order_body(body, bound, planned.arity))
        self._lowered: dict[int, Lowered] = {}
        orelse = member.rule.orelse
        self.orelse = None if orelse is None else Definition(planned, group, Member(orelse, member.keys))

    @property
    def location(self) -> Location:
        return self.rule.location

    @property
    def is_keyed(self) -> bool:
        """Whether OPA takes `p.a := 1` for the member of an object: one step, and no `if`."""
        head = self.rule.head
        location = head.location
        return isinstance(location, Span) and not location.has_if and len(head.ref.args) == 1 and head.args is None

    @property
    def text(self) -> str:
        return path_text(self.path + tuple(_names(self.keys[:-1] if self.is_member else self.keys)))

    def chain(self) -> Iterator[Definition]:
        """Yield this definition and those of its `else` branches, in order."""
        item: Definition | None = self
        while item is not None:
            yield item
            item = item.orelse

    def lowered(self, given: int) -> Lowered:
        """Return the plan in which the first keys are given, as the locals `key0`, `key1`, …, and the arguments as `a0`, …"""
        if given not in self._lowered:
            self._lowered[given] = self._lower(given)
        return self._lowered[given]

    def _lower(self, given: int) -> Lowered:
        lowerer = StageLowerer(self.planned.program, self.planned.arity, Names(), {}, ROOT_CONTEXT)
        lowerer.texts = self.texts
        for index, term in enumerate(self.args):
            lowerer._match(term, p.Local(f"a{index}"), self.location)
        for index, term in enumerate(self.keys[:given]):
            lowerer._match(term, p.Local(f"key{index}"), self.location)
        match = lowerer.take()
        lowerer.body(self.literals)
        keys = tuple(lowerer.atom(term) for term in self.keys)
        value = TRUE_ATOM if self.value is None else lowerer.atom(self.value)
        return Lowered(match, lowerer.block(), keys, value)


def _names(keys: tuple[Term, ...]) -> Iterator[str]:
    """Yield the leading names of a head's steps: what OPA calls a rule by."""
    for key in keys:
        if not (isinstance(key, nodes.Scalar) and isinstance(key.value, str)):
            break
        yield key.value
