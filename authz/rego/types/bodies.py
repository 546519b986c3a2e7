"""Bodies: each literal in turn, with what the ones before it told of the variables.

A literal is looked at as OPA's compiler leaves it: references and closures that are arguments of calls, or parts of other
terms, are equalities with a variable of their own in front of it. Knows literals, not rules.
"""

from __future__ import annotations

from typing import Final

from authz.rego import nodes
from authz.rego.expand import CallExpr, EqualExpr, FlatBody, FlatComprehension, FlatLiteral, FlatLogical, FlatNot
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.types.calls import callee_of, document_path, replaced
from authz.rego.types.closures import closures_in, refs_in
from authz.rego.types.faults import ANY_KEY, Fault, bad_arguments, no_match
from authz.rego.types.model import ANY, Type, array, object_, set_
from authz.rego.types.refs import check_ref, type_of_ref
from authz.rego.types.scope import Known, Operand, Scope
from authz.rego.types.texts import term_order
from authz.rego.variables import operands_of

_RECHECKED_LEVELS: Final = 3
"""Levels of closures that are looked at again, as OPA does with all of them: each level doubles the work."""

_ANYTHING: Final = Var("$any")
"""Stands for a reference to the input: its type is `any` in every scope."""


def new_scope_types() -> dict[str, Type]:
    """Return what a rule's scope knows before its body."""
    return {_ANYTHING.name: ANY}


class BodyChecker:
    """Checks the bodies of one scope."""

    def __init__(self, scope: Scope, *, is_query: bool = False, depth: int = 0) -> None:
        self.scope = scope
        self.is_query = is_query
        self.depth = depth
        self.with_values: dict[Location, Term] = {}
        self.faults: list[Fault] = []
        self.ref_faults: list[Fault] = []  # of the present expression; like the next, they explain types that are unknown
        self.closure_faults: list[Fault] = []

    def check(self, body: FlatBody) -> list[Fault]:
        """Return what is wrong with the literals of an ordered body; the scope knows its variables then."""
        self.faults = []
        for literal in body:
            self._literal(literal)
            self._next_expression()
        return self.faults

    def _literal(self, literal: FlatLiteral) -> None:
        if not literal.withs:
            return self._expression(literal)
        values = list(map(self._with_value, literal.withs))
        targets = [document_path(item) for item in literal.withs]
        replaced = {path: self.scope.type_of(value) for path, value in zip(targets, values, strict=True) if path}
        documents = self.scope.documents
        self.scope.documents = self.scope.shared.replacements.over(documents, replaced) if replaced else documents
        self._expression(literal)
        self.scope.documents = documents
        return None

    def _with_value(self, item: nodes.With) -> Term:
        """Return the flat value; it is evaluated once for all the literals that one of the author's became."""
        value = self.with_values.get(item.location)
        if value is None:
            value = self.with_values[item.location] = self.flat(item.value)
        return value

    def _expression(self, literal: FlatLiteral) -> None:
        match literal.expr:
            case EqualExpr(left, right) if self.is_query:
                self._call(CallExpr(("equal",), (left, right), None), literal)
            case EqualExpr(left, right) | nodes.Unify(left, right):
                self._equality(left, right, literal)
            case CallExpr():
                self._call(literal.expr, literal)
            case nodes.SomeIn(key, value, domain):
                self._some_in(key, value, domain, literal)
            case nodes.Every(_, _, domain, body):
                self._bound(domain)
                self._next_expression()
                self._nested(body, literal)  # type: ignore[arg-type]
            case FlatNot() | FlatLogical():
                for operand in operands_of(literal):
                    self._nested(operand.body, literal)
            case nodes.TermExpr(term):
                prepared = self._prepared(term)
                self._next_expression()
                self._operands(prepared)
                self._check_withs(literal)

    # Expressions

    def _next_expression(self) -> None:
        self.faults += self.closure_faults + self.ref_faults
        self.closure_faults, self.ref_faults = [], []

    def _report(self, fault: Fault) -> None:
        if not (fault.of_unknown and (self.closure_faults or self.ref_faults)):
            self.faults.append(fault)

    def _equality(self, left: Term, right: Term, literal: FlatLiteral) -> None:
        first, second = self._prepared(left), self._prepared(right)
        self._next_expression()
        if isinstance(left, Var) and left.name.startswith("$t"):
            self.scope.sources[left.name] = right
        one, other = self._operands(first, second)
        kinds = self.scope.type_of(one), self.scope.type_of(other)
        if self._check_withs(literal) and not self.scope.unify(one, other):
            self._report(no_match(*kinds, literal.location))

    def _call(self, call: CallExpr, literal: FlatLiteral) -> None:
        args: tuple[Term, ...] = tuple(map(self.flat, call.args))
        if call.out is None:
            return self._check_call(call, args, literal)
        is_generated = isinstance(call.out, Var) and call.out.name.startswith("$t") and call.out.name not in self.scope.sources
        out = call.out if is_generated else self._fresh(call)
        assert isinstance(out, Var)
        self.scope.sources[out.name] = call
        self._check_call(call, (*args, out), literal)
        if not is_generated:
            self._equality(call.out, out, literal)
        return None

    def _check_call(self, call: CallExpr, args: tuple[Term, ...], literal: FlatLiteral) -> None:
        self._next_expression()
        callee = callee_of(call.operator, self.scope.documents)
        if not self._check_withs(literal) or callee is None:
            return
        problem = callee.problem(len(args))
        have = tuple(map(self.scope.type_of, args)) if problem else self.scope.misfit(args, callee.wanted)
        if have is not None:
            problem = problem or "invalid argument(s)"
            location = literal.location if call.out is None else self._start(call)
            self._report(bad_arguments(".".join(call.operator), problem, have, callee.wanted, callee.labels, location))

    def _start(self, call: CallExpr) -> Location:
        """Return where a call begins: an infix one, whose place is its operator, with its leftmost operand."""
        place = call.location
        while call.args and (first := call.args[0]).location.row and (first.location.row, first.location.col) <= (place.row, place.col):
            place = first.location
            source = self.scope.sources.get(first.name) if isinstance(first, Var) else None
            if not isinstance(source, CallExpr):
                break
            call, place = source, source.location
        return place

    def _some_in(self, key: Term | None, value: Term, domain: Term, literal: FlatLiteral) -> None:
        """Check `some key, value in domain` as what OPA makes of it: `value = domain[key]`."""
        self.scope.types.pop(ANY_KEY, None)
        step = Var(ANY_KEY) if key is None else key
        if isinstance(domain, Ref):
            return self._equality(value, Ref(domain.head, (*domain.args, step), domain.location), literal)
        head = domain if isinstance(domain, Var | Scalar) else self._bound(domain)
        return self._equality(value, Ref(head, (step,), domain.location), literal)

    def _nested(self, body: FlatBody, literal: FlatLiteral) -> None:
        """Check the references and closures of a nested body: OPA looks at no calls and equalities in it."""
        for closure in closures_in(body):
            self._check_closure(closure)
        for ref in refs_in(body):
            self._check_ref(Ref(ref.head, tuple(map(self._untyped, ref.args)), ref.location))
        self._check_withs(literal)

    def _check_withs(self, literal: FlatLiteral) -> bool:
        """Tell whether functions that replace others take what these take; report the first that does not."""
        for item in literal.withs:
            fault = replaced(item, self.scope)
            if fault is not None:
                self._report(fault)
                return False
        return True

    # References and closures

    def _check_ref(self, ref: Ref) -> None:
        fault = check_ref(self.scope, ref)
        if fault is not None:
            self.ref_faults.append(fault)

    def _check_closure(self, term: FlatComprehension) -> Type | None:
        """Check a comprehension; return its type, None for one with a fault."""
        kind, faults = self._closure(term)
        if faults:
            self.closure_faults = faults  # as in OPA, those of the last one of an expression
        return kind

    def _closure(self, term: FlatComprehension) -> tuple[Type | None, list[Fault]]:
        inner = self._inner()
        faults = inner.check(term.body) or self._check_again(term, _RECHECKED_LEVELS - self.depth)
        if faults:
            return None, faults
        value = inner.scope.type_of(term.value)
        if term.key is not None:
            return object_({}, (inner.scope.type_of(term.key), value)), []
        return array((), value) if term.kind == "array" else set_(value), []

    def _inner(self) -> BodyChecker:
        return BodyChecker(self.scope.inner(), depth=self.depth + 1)

    def _check_again(self, term: FlatComprehension, levels: int) -> list[Fault]:
        """Check the comprehensions inside one without what its body tells of the variables: OPA does, so its verdict depends on it."""
        found: list[Fault] = []
        for nested in closures_in(term.body) if levels > 0 else ():
            found = self._inner().check(nested.body) or self._check_again(nested, levels - 1) or found
        return found

    # Terms

    def _prepared(self, term: Term) -> Term:
        """Return an operand of an equality with the references and closures inside it bound; it may be one itself."""
        if isinstance(term, Ref):
            return self._flat_ref(term)
        return term if isinstance(term, FlatComprehension) else self.flat(term)

    def _operands(self, *terms: Term) -> list[Operand]:
        """Check prepared terms, their closures before their references; return what stands for them."""
        closures = {id(term): self._check_closure(term) for term in terms if isinstance(term, FlatComprehension)}  # type: ignore[arg-type]
        before = dict(self.scope.types) if closures else None
        for term in terms:
            if isinstance(term, Ref):
                self._check_ref(term)
        learned = before is not None and before != self.scope.types and self.depth < _RECHECKED_LEVELS
        return [self._operand(term, closures.get(id(term)), learned=learned) for term in terms]

    def _operand(self, term: Term, closure: Type | None, *, learned: bool) -> Operand:
        match term:
            case Ref():
                return Known(type_of_ref(self.scope, term))
            case FlatComprehension():  # its type is told after the references, of what they told of the variables
                return Known(self._closure(term)[0] if learned else closure)
        return term

    def flat(self, term: Term) -> Term:
        """Return a term in which variables stand for references and closures; these are checked."""
        match term:
            case Scalar() | Var():
                return term
            case Ref(Var("input"), args) if self.scope.documents.is_input_open and all(isinstance(arg, Scalar) for arg in args):
                return _ANYTHING
            case nodes.Array(items):
                return nodes.Array(tuple(map(self.flat, items)), term.location)
            case nodes.SetTerm(items):
                return nodes.SetTerm(tuple(map(self.flat, sorted(items, key=term_order))), term.location)
            case nodes.ObjectTerm(pairs):
                ordered = sorted(pairs, key=lambda pair: term_order(pair[0]))
                return nodes.ObjectTerm(tuple((self.flat(key), self.flat(value)) for key, value in ordered), term.location)
        return self._bound(term)

    def _bound(self, term: Term) -> Var:
        """Return a variable for a term, as if an equality in front of the literal bound it."""
        prepared, variable = self._prepared(term), self._fresh(term)
        self._next_expression()
        (operand,) = self._operands(prepared)
        if not self.scope.unify(variable, operand):
            self._report(no_match(None, self.scope.type_of(operand), term.location))
        return variable

    def _flat_ref(self, ref: Ref) -> Ref:
        """Return a reference with steps that are constants, variables or made of these."""
        if all(isinstance(arg, Scalar | Var) for arg in ref.args):
            return ref
        return Ref(ref.head, tuple(self._bound(arg) if isinstance(arg, Ref) else self.flat(arg) for arg in ref.args), ref.location)

    def _untyped(self, step: Term) -> Term:
        """Return a step of a reference in the body of an `every`, where nothing is known of what is not a constant or variable."""
        return step if isinstance(step, Scalar | Var) else self._fresh(step)

    def _fresh(self, source: CallExpr | Term) -> Var:
        """Return a new variable that stands for a call or a term."""
        name = f"%{len(self.scope.sources)}"
        self.scope.sources[name] = source
        return Var(name, source.location)
