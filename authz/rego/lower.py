"""Lowering: ordered flat bodies become plans in which every variable is an atom.

Owns unification (which side is read, which is matched), iteration of references, the
hoisting that `not` demands, and `with` scopes. Emits no code and builds no table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from authz.rego import nodes, safety, variables
from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.expand import CallExpr, EqualExpr, FlatBody, FlatComprehension, FlatLiteral, FlatLogical, FlatNot, FlatOperand
from authz.rego.hoist import hoisted
from authz.rego.modifiers import modifier
from authz.rego.nodes import NOWHERE, Location, Ref, Scalar, Term, Var
from authz.rego.program import Node, Program
from authz.rego.rule_checks import is_constant
from authz.rego.values import FALSE, TRUE, Object, Set, Value, order_key

ROOT_CONTEXT = "c"


@dataclass(slots=True)
class Names:
    """Mints the locals of one rule or query."""

    count: int = 0

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"


class Lowerer:
    """Lowers one body. Nested bodies get a child that sees what is bound so far."""

    def __init__(self, program: Program, arity: safety.Arity, names: Names, env: dict[str, p.Atom], ctx: str = ROOT_CONTEXT) -> None:
        self.program = program
        self.arity = arity
        self.names = names
        self.env = env
        self.ctx = ctx
        self.steps: list[p.Step] = []
        self.known: dict[p.Expr, p.Local] = {}
        self.aliases: dict[str, p.Input] = {}
        self.visible: frozenset[str] = frozenset()

    def child(self) -> Lowerer:
        """Return a lowerer for a nested body, with everything known so far."""
        child = type(self)(self.program, self.arity, self.names, dict(self.env), self.ctx)
        child.known = dict(self.known)
        child.aliases = dict(self.aliases)
        child.visible = self.visible
        return child

    def block(self) -> p.Block:
        """Return the steps so far."""
        return tuple(self.steps)

    # Bodies and literals

    def body(self, body: FlatBody) -> None:
        """Append the steps of an ordered body."""
        self.visible |= frozenset(self.env) | frozenset(name for literal in body for name in variables.own_vars(literal))
        for literal in body:
            self.literal(literal)

    def literal(self, literal: FlatLiteral) -> None:
        outer = self.ctx
        if literal.withs:
            self.ctx = self._scope(literal)
        if literal.negated:
            expr = hoisted(literal.expr, self._held_in_front)
            inner = self.child()
            inner._expr(expr, literal.location)
            self._check(p.NoSolution(inner.block()), literal.location)
        else:
            self._expr(literal.expr, literal.location)
        self.ctx = outer

    def _expr(self, expr: object, location: Location) -> None:
        match expr:
            case nodes.TermExpr(term):
                self._test(self.atom(term), location)
            case EqualExpr(left, right):
                self._check(p.Equal(self.atom(left), self.atom(right)), location)
            case nodes.Unify(left, right):
                self._unify(left, right, location)
            case CallExpr():
                self._call(expr, location)
            case nodes.SomeIn(key, value, domain):
                self._some_in(key, value, domain, location)
            case nodes.Every():
                self._every(expr, location)
            case FlatNot(operand):
                self._check(p.NoSolution(self._nested(operand.body)), location)
            case FlatLogical("and", operands):
                for operand in operands:
                    self._must_hold(operand, location)
            case FlatLogical(_, operands):
                failures = tuple(p.Check(p.NoSolution(self._nested(operand.body)), location) for operand in operands)
                self._check(p.NoSolution(failures), location)
            case _:
                raise AssertionError(expr)

    def _test(self, atom: p.Atom, location: Location) -> None:
        if isinstance(atom, p.Const):
            if atom.value is FALSE:
                self._check(p.Never(), location)
            return
        self._check(p.Truthy(atom), location)

    def _check(self, cond: p.Cond, location: Location) -> None:
        if isinstance(cond, p.Equal) and isinstance(cond.left, p.Const) and isinstance(cond.right, p.Const):
            if cond.left.value == cond.right.value:
                return
            cond = p.Never()
        self.steps.append(p.Check(cond, location))

    def _call(self, call: CallExpr, location: Location) -> None:
        count = self.arity.of(call.operator)
        args = tuple(self.atom(arg) for arg in call.args[:count])
        out = call.out if len(call.args) == count else call.args[count]
        builtin = None if call.operator[0] == "data" else BUILTINS[".".join(call.operator)]
        where = call.location if call.location.row else location
        if builtin is None:
            expr: p.Expr = p.CallRule(self.ctx, call.operator, args, where)
        else:
            expr = p.CallBuiltin(self.ctx, builtin.name, args, where)
            if builtin.is_relation:
                return self._relation(expr, out, where)
            if builtin.returns_bool and out is None:
                return self._check(p.Holds(expr), where)
        result = self.value(expr, where)
        if out is None:
            self._test(result, where)
        else:
            self._match(out, result, where)
        return None

    def _relation(self, call: p.CallBuiltin, out: Term | None, location: Location) -> None:
        name = self.names.fresh()
        self.steps.append(p.LoopRelation(call, name, location))
        if out is None:
            self._test(p.Local(name), location)
        else:
            self._match(out, p.Local(name), location)

    def _some_in(self, key: Term | None, value: Term, domain: Term, location: Location) -> None:
        collection = self.atom(domain)
        key_name, value_name = self.names.fresh("k"), self.names.fresh()
        self.steps.append(p.Loop(collection, key_name, value_name, location))
        if key is not None:
            self._match(key, p.Local(key_name), location)
        self._match(value, p.Local(value_name), location)

    def _every(self, every: nodes.Every, location: Location) -> None:
        domain = self.atom(every.domain)
        inner = self.child()
        key_name = None
        if every.key is not None:
            key_name = self.names.fresh("k")
            inner.env[every.key.name] = p.Local(key_name)
        value_name = self.names.fresh()
        inner.env[every.value.name] = p.Local(value_name)
        inner.body(every.body)  # type: ignore[arg-type]
        self._check(p.Every(self.ctx, domain, key_name, value_name, inner.block()), location)

    # `and`, `or`, `not`

    def _nested(self, body: FlatBody) -> p.Block:
        inner = self.child()
        inner.body(body)
        return inner.block()

    def _must_hold(self, operand: FlatOperand, location: Location) -> None:
        """Append what fails unless the operand has a solution; however many it has, the rest of the body runs once."""
        block = self._nested(operand.body)
        if any(isinstance(step, p.Loop | p.LoopRelation) for step in block):
            block = (p.Check(p.NoSolution((p.Check(p.NoSolution(block), location),)), location),)
        self.steps.extend(block)

    # Unification

    def _unify(self, left: Term, right: Term, location: Location) -> None:
        pairs = list(safety.pairs_of(left, right))
        while pairs:
            rest = [pair for pair in pairs if not self._solve(*pair, location)]
            assert len(rest) < len(pairs), "an unsafe unification passed the safety check"
            pairs = rest

    def _solve(self, left: Term, right: Term, location: Location) -> bool:
        bound = set(self.env)
        for known, other in ((right, left), (left, right)):
            if safety.matched(other, known, bound, self.visible) is not None:
                self._match(other, self.atom(known), location)
                return True
        return False

    def _match(self, pattern: Term, atom: p.Atom, location: Location) -> None:
        """Append what makes `pattern` equal to a known value, binding its free variables."""
        if isinstance(pattern, Var) and pattern.name not in self.env:
            self.env[pattern.name] = atom
        elif isinstance(pattern, nodes.Array) and not self._is_bound(pattern):
            self._check_shape(p.IsArray(atom, len(pattern.items)), location)
            for index, item in enumerate(pattern.items):
                self._match_part(item, atom, p.Const(index), location)
        elif isinstance(pattern, nodes.ObjectTerm) and not self._is_bound(pattern):
            keys = [self.atom(key) for key, _ in pattern.pairs]
            self._check_shape(p.IsObject(atom, len(set(keys))), location)
            for key, (_, value) in zip(keys, pattern.pairs, strict=True):
                self._match_part(value, atom, key, location)
        else:
            self._check(p.Equal(self.atom(pattern), atom), location)

    def _match_part(self, pattern: Term, whole: p.Atom, key: p.Atom, location: Location) -> None:
        part = self.value(p.Lookup(whole, key), location)
        self._match(pattern, part, location)

    def _check_shape(self, cond: p.IsArray | p.IsObject, location: Location) -> None:
        self.steps.append(p.Check(cond, location))

    def _is_bound(self, term: Term) -> bool:
        return all(var.name in self.env for var in variables.term_vars(term, nested=False))

    # Terms

    def atom(self, term: Term) -> p.Atom:
        """Append what computes the term; return the atom that holds it."""
        match term:
            case Scalar(value):
                return p.Const(value)
            case Var(name):
                return self.env[name]
            case Ref():
                return self._ref(term)
            case nodes.Array(items):
                return self._make_array(tuple(self.atom(item) for item in items), term.location)
            case nodes.SetTerm(items):
                return self._make_set(tuple(self.atom(item) for item in items), term.location)
            case nodes.ObjectTerm(pairs):
                pairs = tuple(sorted(pairs, key=lambda pair: _key_order(pair[0])))
                return self._make_object(tuple((self.atom(key), self.atom(value)) for key, value in pairs), term.location)
        if isinstance(term, FlatComprehension):
            return self._comprehension(term)
        raise AssertionError(term)

    def value(self, expr: p.Expr, location: Location = NOWHERE) -> p.Atom:
        """Return a local that holds the expression, computed once per scope."""
        known = self.known.get(expr)
        if known is not None:
            return known
        local = p.Local(self.names.fresh())
        self.steps.append(p.Let(local.name, expr, location))
        self.known[expr] = local
        if isinstance(expr, p.Input):
            self.aliases[local.name] = expr
        return local

    def _make_array(self, items: tuple[p.Atom, ...], location: Location) -> p.Atom:
        values = _constants(items)
        return p.Const(values) if values is not None else self.value(p.MakeArray(items), location)

    def _make_set(self, items: tuple[p.Atom, ...], location: Location) -> p.Atom:
        values = _constants(items)
        return p.Const(Set(values)) if values is not None else self.value(p.MakeSet(items), location)

    def _make_object(self, pairs: tuple[tuple[p.Atom, p.Atom], ...], location: Location) -> p.Atom:
        keys, values = _constants(key for key, _ in pairs), _constants(value for _, value in pairs)
        if keys is not None and values is not None:
            return p.Const(Object(zip(keys, values, strict=True)))
        return self.value(p.MakeObject(pairs), location)

    def _comprehension(self, term: FlatComprehension) -> p.Atom:
        inner = self.child()
        inner.body(term.body)
        key = None if term.key is None else inner.atom(term.key)
        value = inner.atom(term.value)
        expr = p.Comprehension(self.ctx, term.kind, inner.block(), key, value, term.location)
        local = p.Local(self.names.fresh())
        self.steps.append(p.Let(local.name, expr, term.location))
        return local

    # References

    def _ref(self, ref: Ref) -> p.Atom:
        assert isinstance(ref.head, Var)
        if ref.head.name == "input":
            return self._walk(p.Input(self.ctx, ()), ref.args, ref.location)
        if ref.head.name == "data":
            return self._data(ref)
        return self._walk(self.env[ref.head.name], ref.args, ref.location)

    def _data(self, ref: Ref) -> p.Atom:
        node: Node = self.program.root
        for index, arg in enumerate(ref.args):
            name = arg.value if isinstance(arg, Scalar) else None
            child = node.children.get(name) if isinstance(name, str) else None
            if child is not None:
                node = child
            elif is_constant(arg):  # also a composite, which is no rule's name
                return self._walk(p.BaseData(self.ctx, tuple(p.Const(step) for step in node.path[1:])), ref.args[index:], ref.location)
            else:
                return self._walk(self._place(node, ref.location), ref.args[index:], ref.location)
            if node.group is not None:
                return self._walk(self._place(node, ref.location), ref.args[index + 1 :], ref.location)
        return self.value(p.Document(self.ctx, node.path), ref.location)

    def _place(self, node: Node, location: Location) -> p.Atom | p.BaseData:
        if node.group is None:
            if not node.children:
                return p.BaseData(self.ctx, tuple(p.Const(step) for step in node.path[1:]))
            return self.value(p.Document(self.ctx, node.path), location)
        return self.value(p.RuleValue(self.ctx, node.group.path), location)

    def _walk(self, start: p.Atom | p.Input | p.BaseData, args: tuple[Term, ...], location: Location) -> p.Atom:
        current: p.Atom | p.Input | p.BaseData = start
        for arg in args:
            readable = self._is_readable(arg)
            current = self._extend(current, self.atom(arg), location) if readable else self._iterate(current, arg, location)
        return self._held(current, location)

    def _is_readable(self, arg: Term) -> bool:
        return isinstance(arg, Scalar | Ref) or self._is_bound(arg)

    def _extend(self, base: p.Atom | p.Input | p.BaseData, key: p.Atom, location: Location) -> p.Atom | p.Input | p.BaseData:
        if isinstance(base, p.Local) and base.name in self.aliases:
            base = self.aliases[base.name]
        if isinstance(base, p.Input | p.BaseData):
            return replace(base, path=(*base.path, key))
        return self.value(p.Lookup(base, key), location)

    def _iterate(self, base: p.Atom | p.Input | p.BaseData, pattern: Term, location: Location) -> p.Atom:
        collection = self._held(base, location)
        key, value = p.Local(self.names.fresh("k")), p.Local(self.names.fresh())
        self.steps.append(p.Loop(collection, key.name, value.name, location))
        self._match(pattern, key, location)
        return value

    def _held(self, current: p.Atom | p.Input | p.BaseData, location: Location) -> p.Atom:
        if isinstance(current, p.Input | p.BaseData):
            return self.value(current, location)
        return current

    def _held_in_front(self, term: Term) -> Var:
        """Append what computes a term that a negation needs; return a variable that holds it."""
        name = f"$h{self.names.fresh('')}"
        self.env[name] = self.atom(term)
        return Var(name, term.location)

    # Modifiers

    def _scope(self, literal: FlatLiteral) -> str:
        modifiers = tuple(modifier(item, self.program, self.atom) for item in literal.withs)
        name = self.names.fresh("c")
        self.steps.append(p.Scope(name, self.ctx, modifiers, literal.location))
        return name


def _key_order(key: Term) -> tuple[int, Any]:
    """Return where OPA has a pair of an object by its key, as written. Of keys that turn out to be equal the last one counts."""
    match key:
        case Scalar(value):
            return 0, order_key(value)
        case Var(name):
            declared, _, number = name.partition("#")
            return 1, (not number, int(number or 0), declared)
    return 2 + _COMPOSITES.index(type(key)), ()


_COMPOSITES: Final = (Ref, nodes.Array, nodes.ObjectTerm, nodes.SetTerm, FlatComprehension)


def _constants(atoms: Iterable[p.Atom]) -> tuple[Value, ...] | None:
    values = []
    for atom in atoms:
        if not isinstance(atom, p.Const):
            return None
        values.append(atom.value)
    return tuple(values)


TRUE_ATOM = p.Const(TRUE)
