"""Resolution of names: every variable becomes a local, or a full reference to `input` or `data`.

Owns what each construct declares (`:=`, `some`, `every`, arguments) and in which order its parts
see it. Does not know whether a variable can be bound (safety) or what a rule means.

After this pass a `Var` is a local variable of its rule, declared ones renamed `name#n` so
that no two scopes share a name; a `Ref` starts at `input`, `data` or a local; the operator
of a `Call` is a built-in's name or starts with `data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from authz.rego import errors, nodes, printing
from authz.rego.builtins import BUILTINS
from authz.rego.callables import Callables
from authz.rego.errors import Findings, Stage
from authz.rego.names import Globals, ground_path, head_name
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.rule_checks import term_name
from authz.rego.scopes import Scopes

ROOTS = frozenset({"input", "data"})


class Resolver:
    """Resolves the rules of one module and reports what is wrong to `findings`. One instance per rule: it numbers that rule's locals."""

    def __init__(self, scope: Globals, findings: Findings) -> None:
        self.globals = scope
        self.findings = findings
        self.scopes = Scopes()
        self.callables = Callables(scope, self.scopes, self._path, self.term, findings)

    # Rules

    def rule(self, rule: nodes.Rule) -> nodes.Rule:
        """Return the rule with every name resolved, its `else` chain included."""
        self._refuse_root(head_name(rule.head), "rules", "rule", rule.location)
        self._refuse_bare_builtin(rule)
        if rule.head.args is None:
            return self._definition(rule, None, frozenset())
        args = self._arguments(rule.head.args)
        result = self._definition(rule, args, self.scopes.arguments())
        self.scopes.pop()
        return result

    def _refuse_bare_builtin(self, rule: nodes.Rule) -> None:
        """Report `count(x)` in the place of a rule: it is one for the parser, as `f(x)` is, but nobody means that."""
        is_bare = not rule.body and rule.head.value is not None and rule.head.value.location == rule.head.location
        if rule.head.args is not None and is_bare and ".".join(ground_path(rule.head.ref)) in BUILTINS:
            message, help = "rule name conflicts with built-in function", "an expression goes into the body of a rule"
            self.findings.report(errors.PARSE, message, rule.location, help=help)

    def _arguments(self, args: tuple[Term, ...]) -> tuple[Term, ...]:
        """Enter the scope of a function's arguments. They are patterns: no name in them means anything but an argument."""
        parts = [part for arg in args for part in _parts(arg)]
        self.scopes.push(part.name for part in parts if isinstance(part, Var))
        for name, location in dict(_argument_vars(args)).items():
            self._refuse_root(name, "args", "variable", location)
            self._declare(name, location, action="given")
        for part in parts:
            if isinstance(part, nodes.Call):
                message, help = "rule arguments cannot contain calls", "call it in the body of the function"
                self._report(message, part.location, help=help)
            elif isinstance(part, Ref) and isinstance(part.head, Var) and part.head.name in ROOTS:
                message, help = f"var {part.head.name} is unsafe", "compare with it in the body of the function"
                self.findings.report(errors.UNSAFE, message, part.location, help=help)
        return tuple(self.term(arg) for arg in args)

    def _definition(self, rule: nodes.Rule, args: tuple[Term, ...] | None, names: frozenset[str]) -> nodes.Rule:
        self.scopes.push(_declared(rule.body), names)
        body = self._body(rule.body)
        head = rule.head
        resolved = nodes.Head(
            replace(head.ref, args=tuple(self.term(arg) for arg in head.ref.args)),
            args,
            None if head.key is None else self._whole(head.key),
            None if head.value is None else self._whole(head.value),
            head.location,
        )
        self._pop()
        orelse = None if rule.orelse is None else self._definition(rule.orelse, args, names)
        return replace(rule, head=resolved, body=body, orelse=orelse)

    def query(self, body: nodes.Body) -> nodes.Body:
        """Resolve a query: a body of its own, outside every rule."""
        self.scopes.push(_declared(body))
        resolved = self._body(body)
        self._pop()
        return resolved

    # Scopes

    def _pop(self, *, shares_uses: bool = False) -> None:
        scope = self.scopes.pop(shares_uses=shares_uses)
        for name, location in scope.unused.items():
            shown = "_" if name.startswith("$") else name
            self._report(f"declared var {shown} unused", location, help=f"remove `{shown}` or use it")
        for use in scope.shadowed:
            self.callables.report_shadowed(use)

    def _declare(self, name: str, location: Location, *, action: str = "assigned", must_use: bool = False) -> bool:
        """Declare a name; return whether it could be."""
        misuse = self.scopes.declare(name, action, location, must_use=must_use)
        if misuse is not None:
            self._report(misuse.message, location, help=misuse.help)
        return misuse is None

    def _refuse_root(self, name: str, what: str, kind: str, location: Location) -> None:
        if name in ROOTS and (self.globals.rego_version == 1 or what == "args"):
            message = f"{what} must not shadow {name} (use a different {kind} name)"
            self.findings.report(errors.COMPILE, message, location, help=f"`{name}` always means the {name} document", check=Stage.ROOTS)

    def _report(self, message: str, location: Location, *, help: str | None = None) -> None:
        self.findings.report(errors.COMPILE, message, location, help=help)

    # Literals

    def _body(self, body: nodes.Body) -> nodes.Body:
        return tuple(self._literal(literal) for literal in body)

    def _literal(self, literal: nodes.Literal) -> nodes.Literal:
        withs = tuple(resolved for item in literal.withs if (resolved := self._with(item)) is not None)
        if literal.negated and isinstance(literal.expr, nodes.Assign):
            self._refuse_assignment("negated expression", literal.location)
        return replace(literal, expr=self._expr(literal.expr), withs=withs)

    def _refuse_assignment(self, where: str, location: Location) -> None:
        self._report(f"cannot assign vars inside {where}", location, help="compare with `==`; what is assigned there could not be used")

    def _with(self, item: nodes.With) -> nodes.With | None:
        target = self.callables.target(item.target)
        function = None if target is None else self.callables.replacement(target, item)
        value = self.term(item.value) if function is None else function
        return None if target is None else replace(item, target=target, value=value)

    def _expr(self, expr: nodes.Expr) -> nodes.Expr:
        match expr:
            case nodes.TermExpr(nodes.Call(("print",) as operator, args)) if not self.scopes.hides("print") and self._path("print") is None:
                return nodes.TermExpr(nodes.Call(operator, self._printed(args), expr.term.location))
            case nodes.TermExpr(nodes.Call(("eq",), (left, right))):
                return nodes.Unify(self.term(left), self.term(right))
            case nodes.TermExpr(nodes.Call(("assign",), (left, right))):
                return self._assign(left, right)
            case nodes.TermExpr(nodes.Call() as call):
                return nodes.TermExpr(self._call(call, is_operand=False, spare=1))
            case nodes.TermExpr(term):
                return nodes.TermExpr(self.term(term))
            case nodes.Unify(left, right):
                return nodes.Unify(self.term(left), self.term(right))
            case nodes.Assign(left, right):
                return self._assign(left, right)
            case nodes.SomeDecl(names):
                for var in names:
                    self._declare(var.name, var.location, action="declared", must_use=True)
                return nodes.SomeDecl(())
            case nodes.SomeIn(key, value, domain):
                return self._some_in(key, value, domain)
            case nodes.Every():
                return self._every(expr)
            case nodes.Not(operand):
                return nodes.Not(self._operand(operand, "negated expression", shares_uses=False))
            case nodes.Logical(operator, operands):
                where = f"implicit {operator} operand"
                return nodes.Logical(operator, tuple(self._operand(item, where, shares_uses=True) for item in operands))

    def _printed(self, args: tuple[Term, ...]) -> tuple[Term, ...]:
        with self.findings.collect():
            printing.refuse_unbound(args, lambda name: self._path(name) is not None or self.scopes.knows(name))
        return tuple(self.term(arg) for arg in args)

    def _operand(self, operand: nodes.Operand, where: str, *, shares_uses: bool) -> nodes.Operand:
        if operand.is_explicit:
            self.scopes.push(_declared(operand.body))
            body = self._body(operand.body)
            self._pop(shares_uses=shares_uses)
            return replace(operand, body=body)
        if isinstance(operand.body[0].expr, nodes.Assign):
            self._refuse_assignment(where, operand.body[0].location)
        return replace(operand, body=self._body(operand.body))

    def _assign(self, left: Term, right: Term) -> nodes.Expr:
        resolved = self.term(right)
        self._check_assignable(left)
        for name, location in _pattern_vars((left,)):
            self._refuse_root(name, "variables", "variable", location)
            self._declare(name, location)
        return nodes.Unify(self.term(left), resolved)

    def _check_assignable(self, term: Term) -> None:
        """Report a pattern that has anything but variables, arrays and objects."""
        match term:
            case Var():
                pass
            case nodes.Array(items):
                for item in items:
                    self._check_assignable(item)
            case nodes.ObjectTerm(pairs):
                for _, value in pairs:
                    self._check_assignable(value)
            case _:
                help = "`:=` declares variables; compare with `==`, or unify with `=`"
                self._report(f"cannot assign to {term_name(term)}", term.location, help=help)

    def _some_in(self, key: Term | None, value: Term, domain: Term) -> nodes.Expr:
        # A name of the domain is not declared, so that `some x in x` unifies, as in OPA.
        known = ROOTS | {
            part.name if isinstance(part, Var) else part.operator[0] for part in _parts(domain) if isinstance(part, Var | nodes.Call)
        }
        for name, location in dict(_pattern_vars((value,) if key is None else (key, value))).items():
            if name not in known and not self._declare(name, location, action="declared"):
                break
        resolved = self.term(domain)
        return nodes.SomeIn(None if key is None else self.term(key), self.term(value), resolved)

    def _every(self, expr: nodes.Every) -> nodes.Expr:
        names = [var for var in (expr.key, expr.value) if var is not None and not var.is_wildcard]
        self.scopes.push(var.name for var in names)
        domain = self.term(expr.domain)
        self._refuse_own_domain(names, domain)
        self.scopes.pop(shares_uses=True)
        self.scopes.push(_declared(expr.body))
        for var in names:
            self._declare(var.name, var.location, action="declared", must_use=True)
        key, value = (var and replace(var, name=self.scopes.local(var.name)) for var in (expr.key, expr.value))
        body = self._body(expr.body)
        self._pop()
        assert value is not None
        return nodes.Every(key, value, domain, body)

    def _refuse_own_domain(self, names: list[Var], domain: Term) -> None:
        """Report a domain that is one of the names that it is for: a variable that only the body has, unless it was declared before."""
        for part in _parts(domain):
            if isinstance(part, Var) and any(part.name == var.name for var in names):
                help = f"`{part.name}` is what `every` declares: choose another name"
                self.findings.report(errors.UNSAFE, f"var {part.name} is unsafe", part.location, help=help)

    # Terms

    def term(self, term: Term) -> Term:
        """Return the term with every name in it resolved."""
        match term:
            case Scalar():
                return term
            case Var():
                return self._var(term)
            case Ref(head, args):
                return self._ref(term, head, args)
            case nodes.Call():
                return self._call(term)
            case nodes.Array(items) | nodes.SetTerm(items):
                return replace(term, items=tuple(self.term(item) for item in items))
            case nodes.ObjectTerm(pairs):
                return replace(term, pairs=tuple((self.term(key), self.term(value)) for key, value in pairs))
            case nodes.TemplateString(parts):
                return replace(term, parts=tuple(part if isinstance(part, str) else self._whole(part) for part in parts))
            case nodes.ObjectComprehension():
                self.scopes.push(_declared(term.body))
                body = self._body(term.body)
                result = replace(term, key=self.term(term.key), value=self.term(term.value), body=body)
                self._pop()
                return result
            case nodes.ArrayComprehension() | nodes.SetComprehension():
                self.scopes.push(_declared(term.body))
                body = self._body(term.body)
                inner = replace(term, term=self._whole(term.term), body=body)
                self._pop()
                return inner

    def _var(self, var: Var) -> Term:
        if var.is_wildcard:
            return var
        local = self.scopes.use(var.name)
        if local is not None:
            return Var(local, var.location)
        path = self._path(var.name)
        if path is not None:
            return _reference(path, (), var.location)
        self.scopes.use_variable(var.name, var.location)
        return var

    def _ref(self, ref: Ref, head: Term, args: tuple[Term, ...]) -> Term:
        resolved_head = self.term(head)
        resolved_args = tuple(self.term(arg) for arg in args)
        if isinstance(resolved_head, Ref):
            return Ref(resolved_head.head, resolved_head.args + resolved_args, ref.location)
        return Ref(resolved_head, resolved_args, ref.location)

    def _path(self, name: str) -> tuple[str, ...] | None:
        """Return the full path of what a name means globally; None if it means nothing global here."""
        if self.scopes.hides(name):
            return None
        if name in self.globals.imports:
            return self.globals.imports[name]
        if name in self.globals.rules:
            return ("data", *self.globals.package, name)
        return (name,) if name in ROOTS else None

    def _whole(self, term: Term) -> Term:
        """Resolve a term that is no part of another."""
        return self._call(term, is_operand=False) if isinstance(term, nodes.Call) else self.term(term)

    def _call(self, call: nodes.Call, *, is_operand: bool = True, spare: int = 0) -> nodes.Call:
        """Resolve a call. One that stands alone may have a spare argument: the pattern of its result."""
        operator = self.callables.operator(call, is_operand=is_operand, spare=spare)
        return replace(call, operator=operator, args=tuple(self.term(arg) for arg in call.args))


def _reference(path: tuple[str, ...], args: tuple[Term, ...], location: Location) -> Ref:
    return Ref(Var(path[0], location), tuple(Scalar(part, location) for part in path[1:]) + args, location)


def _declared(body: nodes.Body) -> Iterator[str]:
    """Yield the names that the literals of a body declare, those of bodies in it included, but not of comprehensions.

    What a nested body declares means nothing global around it either, as in OPA.
    """
    for literal in body:
        match literal.expr:
            case nodes.Every(body=inner) | nodes.Not(nodes.Operand(inner)):
                yield from _declared(inner)
            case nodes.Logical(_, operands):
                for operand in operands:
                    yield from _declared(operand.body)
            case nodes.Assign(left, _):
                yield from (name for name, _ in _pattern_vars((left,)))
            case nodes.SomeDecl(names):
                yield from (var.name for var in names)
            case nodes.SomeIn(key, value, _):
                yield from (name for name, _ in _pattern_vars((value,) if key is None else (key, value)) if name not in ROOTS)


def _pattern_vars(terms: Iterable[Term]) -> Iterator[tuple[str, Location]]:
    """Yield the variables of declaring patterns, in order."""
    for term in terms:
        match term:
            case Var():
                if not term.is_wildcard:
                    yield term.name, term.location
            case nodes.Array(items) | nodes.SetTerm(items):
                yield from _pattern_vars(items)
            case nodes.ObjectTerm(pairs):
                yield from _pattern_vars(value for _, value in pairs)
            case _:
                pass


def _argument_vars(terms: Iterable[Term]) -> Iterator[tuple[str, Location]]:
    """Yield the variables of a function's arguments: those of patterns, and keys of objects."""
    for term in terms:
        yield from _pattern_vars((term,))
        if isinstance(term, nodes.ObjectTerm):
            yield from _argument_vars(part for pair in term.pairs for part in pair)
        elif isinstance(term, nodes.Array | nodes.SetTerm):
            yield from _argument_vars(term.items)


def _parts(term: Term) -> Iterator[Term]:
    """Yield a term and the terms in it, those of closures excluded."""
    waiting = [term]
    while waiting:
        part = waiting.pop()
        yield part
        match part:
            case Ref(head, args):
                waiting += (head, *args)
            case nodes.Call(_, args):
                waiting += args
            case nodes.Array(items) | nodes.SetTerm(items):
                waiting += items
            case nodes.ObjectTerm(pairs):
                waiting += (each for pair in pairs for each in pair)
