"""Steps of a plan, run one by one, and the events of literals and nested bodies.

Owns what a step and a condition do, as generated code does them. What a rule's value is, is its subclass's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.errors import BuiltinError
from authz.rego.expand import FlatLiteral
from authz.rego.nodes import Every, Ref, Unify, Var
from authz.rego.observed.events import Op
from authz.rego.observed.expressions import Expressions, Values
from authz.rego.observed.frames import EarlyExit, Frame, Scope, conjunction, leave
from authz.rego.observed.plans import Body, Stage
from authz.rego.observed.telling import Document
from authz.rego.program import Kind, Path
from authz.rego.runtime import COLLECTIONS, items, scope, spend
from authz.rego.values import FALSE, Object, Value


class Steps(Expressions):
    """An evaluation, as far as plans go."""

    # Bodies and their literals

    def solve(self, frame: Frame) -> Iterator[None]:
        """Yield for every way in which the frame's body holds."""
        solutions = conjunction(frame.body.stages, lambda stage: self._stage(frame, stage))
        for _ in solutions:
            try:
                yield
            except EarlyExit as reason:
                leave(solutions, reason)
                raise
            if frame.is_settled_by_one:
                leave(solutions, EarlyExit())
                return

    def _stage(self, frame: Frame, stage: Stage) -> Iterator[None]:
        self.tell(Op.EVAL, frame, stage)
        frame.stage = stage
        solutions = conjunction(stage.steps, lambda step: self.step(frame, step))
        is_defined = False
        for _ in solutions:
            is_defined = True
            try:
                yield
            except EarlyExit as reason:
                self._redone(frame, stage)
                leave(solutions, reason)
                raise
            self._redone(frame, stage)
        if not is_defined:
            self.tell(Op.FAIL, frame, stage)

    def _redone(self, frame: Frame, stage: Stage) -> None:
        frame.stage = stage
        if not stage.literal.negated:
            self.tell(Op.REDO, frame, stage)

    def finish(self, frame: Frame) -> None:
        """Run the steps that make the terms of a head."""
        for step in frame.body.tail:
            held = self.step(frame, step)
            assert held is True

    # Steps

    def step(self, frame: Frame, step: p.Step) -> bool | Iterator[None]:
        """Return whether a step holds, or an iterator that yields for each way in which it does."""
        match step:
            case p.Let(name, expr):
                return self._let(frame, name, expr)
            case p.Check(cond):
                return self._check(frame, cond)
            case p.Loop(p.Local(name), key, value) if isinstance(held := frame.values[name], Document):
                return self._loop_below(frame, held, key, value)
            case p.Loop(collection, key, value):
                return self._loop(frame, self.atom(frame, collection), key, value)
            case p.LoopRelation(call, value):
                return self._each(frame, value, self._relation(frame, call))
            case p.Scope():
                frame.scopes[step.name] = self._scope(frame, step)
                return True
            case p.Bind():
                raise AssertionError(step)  # a table's: nothing observed is optimised

    def _let(self, frame: Frame, name: str, expr: p.Expr) -> bool | Iterator[None]:
        match expr:
            case p.RuleValue(ctx, path):
                return self._rule(frame, name, frame.scopes[ctx], path)
            case p.Document(ctx, path):
                return self._hold(frame, name, Document(path, frame.scopes[ctx]))
            case p.CallRule(ctx, path, args):
                return self._each(frame, name, self.called(frame, frame.scopes[ctx], path, self.atoms(frame, args)))
            case p.CallBuiltin(ctx, called, args) if self.is_replaced(frame.scopes[ctx], called):
                return self._each(frame, name, self.replaced(frame, frame.scopes[ctx], called, self.atoms(frame, args)))
            case p.Lookup(p.Local(base), key) if isinstance(held := frame.values[base], Document):
                return self._looked_up(frame, name, held, self.atom(frame, key))
        found = frame.values[name] = self.value(frame, expr)
        return found is not None

    def _rule(self, frame: Frame, name: str, scope: Scope, path: Path) -> bool | Iterator[None]:
        if self.kind(path) is Kind.COMPLETE:
            return self._each(frame, name, self.complete(frame, scope, path))
        return self._hold(frame, name, Document(path, scope))

    def _hold(self, frame: Frame, name: str, document: Document) -> bool:
        """Bind a local to a document: as it is where it is looked into next, else to its value."""
        found: Document | Value | None = document
        if frame.stage is None or name not in frame.stage.looked_into:
            is_rule = self.kind(document.path) is not None
            scope, path = document.scope, document.path
            found = self.collection(frame, scope, path, document.keys) if is_rule else self.document(frame, scope, path)
        frame.values[name] = found
        return found is not None

    def _looked_up(self, frame: Frame, name: str, held: Document, key: Value) -> bool | Iterator[None]:
        """Bind a local to what a document has at a key."""
        if self.kind(held.path) is not None:
            return self._hold(frame, name, Document(held.path, held.scope, (*held.keys, key)))
        is_base, value = self.base(held.scope, (*held.path, key))
        if not is_base:
            return self._rule(frame, name, held.scope, (*held.path, str(key)))
        frame.values[name] = value
        return value is not None

    def _each(self, frame: Frame, name: str, values: Values) -> Iterator[None]:
        for value in values:
            frame.values[name] = value
            try:
                yield
            except EarlyExit as reason:
                leave(values, reason)
                raise

    def _loop(self, frame: Frame, collection: Value, key: str | None, value: str | None) -> Iterator[None]:
        for found, item in items(frame.scopes["c"].context, collection):
            if key is not None:
                frame.values[key] = found
            if value is not None:
                frame.values[value] = item
            yield

    def _loop_below(self, frame: Frame, held: Document, key: str | None, value: str | None) -> Iterator[None]:
        assert key is not None
        assert value is not None
        if self.kind(held.path) is not None:
            found = self.collection(frame, held.scope, held.path, held.keys)
            yield from () if found is None else self._loop(frame, found, key, value)
            return
        for name in self.below(held.scope, held.path):
            frame.values[key] = name
            held_by = self._looked_up(frame, value, held, name)
            if not isinstance(held_by, bool):
                yield from held_by
            elif held_by:
                yield

    def _relation(self, frame: Frame, call: p.CallBuiltin) -> Values:
        context = frame.scopes[call.ctx].context
        try:
            for value in BUILTINS[call.name].call(*self.atoms(frame, call.args)):
                spend(context, 1)
                yield value
        except BuiltinError as error:
            context.failed(error, call.location)

    def _scope(self, frame: Frame, step: p.Scope) -> Scope:
        modifiers: list[tuple[str, Any, Any]] = []
        for modifier in step.modifiers:
            if modifier.root == "function":
                kind = "value" if modifier.value is not None else "rule" if modifier.is_rule else "call"
                value: Any = modifier.callable_path if modifier.value is None else self.atom(frame, modifier.value)
                modifiers.append((kind, ".".join(modifier.path), value))
            else:
                assert modifier.value is not None
                path = modifier.path if modifier.root == "input" else ("data", *modifier.path)
                modifiers.append((modifier.root, path, self.atom(frame, modifier.value)))
        return Scope(scope(frame.scopes[step.base].context, tuple(modifiers)))

    # Conditions

    def _check(self, frame: Frame, cond: p.Cond) -> bool | Iterator[None]:
        match cond:
            case p.Truthy(atom):
                return self.atom(frame, atom) is not FALSE
            case p.Equal(left, right):
                return self.atom(frame, left) == self.atom(frame, right)
            case p.Holds(call):
                return (value := self.builtin(frame, call)) is not None and value is not FALSE
            case p.IsArray(atom, size):
                return isinstance(value := self.atom(frame, atom), tuple) and len(value) == size
            case p.IsObject(atom, size):
                return isinstance(value := self.atom(frame, atom), Object) and len(value) == size
            case p.Never():
                return False
            case p.NoSolution(Body() as body):
                return not self._holds(self.nested(frame, body))
            case p.NoSolution(tests):
                return not all(self._fails(frame, test) for test in tests)
            case p.Every():
                return self._every(frame, cond)

    def _fails(self, frame: Frame, test: p.Step) -> bool:
        """Tell whether an operand of `and` or `or` has no solution: a check of what is no body is made of such tests."""
        assert isinstance(test, p.Check)
        assert isinstance(test.cond, p.NoSolution)
        inner = self.nested(frame, test.cond.block)
        inner.is_settled_by_one = True
        return not self._holds(inner)

    def _holds(self, inner: Frame) -> bool:
        self.tell(Op.ENTER, inner, inner.body)
        held = False
        for _ in self.solve(inner):
            held = True
            self.exited(inner, inner.body)
            self.tell(Op.REDO, inner, inner.body)
        return held

    def _every(self, frame: Frame, cond: p.Every) -> Iterator[None]:
        stage, domain = frame.stage, self.atom(frame, cond.domain)
        assert stage is not None
        if domain.__class__ not in COLLECTIONS:
            return self.tell(Op.FAIL, frame, stage)
        generator = _generator(stage)
        inner = self.nested(frame, generator)
        self.tell(Op.ENTER, inner, stage)
        if not self._holds_for_all(inner, cond, domain, stage, generator.stages[0]):
            return self.tell(Op.FAIL, inner, stage)
        try:
            yield
        except EarlyExit:
            self.exited(inner, stage)
            raise
        return self.exited(inner, stage)

    def _holds_for_all(self, frame: Frame, cond: p.Every, domain: Value, every: Stage, generator: Stage) -> bool:
        self.tell(Op.EVAL, frame, generator)
        holds = True
        for _ in self._loop(frame, domain, cond.key, cond.value):
            if holds:
                inner = self.nested(frame, cond.block)
                inner.is_settled_by_one = True
                holds = self._holds(inner)
                self.tell(Op.REDO, frame, every)
            self.tell(Op.REDO, frame, generator)
        if not domain:
            self.tell(Op.FAIL, frame, generator)
        return holds


def _generator(every: Stage) -> Body:
    """Return the body `domain[key] = value`, by which OPA iterates over the domain of an `every`."""
    expr = every.literal.expr
    assert isinstance(expr, Every)
    key = expr.key or Var(f"$every{id(expr)}", expr.domain.location)
    literal = FlatLiteral(Unify(Ref(expr.domain, (key,)), expr.value), location=expr.domain.location)
    body = Body()
    body.stages = (Stage(0, literal, (), every.before, every.before, frozenset(), every.texts),)
    return body
