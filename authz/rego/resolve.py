"""Resolution of names: every variable becomes a local, or a full reference to `input` or `data`.

Owns scopes, declarations (`:=`, `some`, `every`, arguments) and the errors of
misusing them. Does not know whether a variable can be bound (safety) or what a rule means.

After this pass a `Var` is a local variable of its rule, declared ones renamed `name#n` so
that no two scopes share a name; a `Ref` starts at `input`, `data` or a local; the operator
of a `Call` is a built-in's name or starts with `data`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from authz.rego import errors, nodes, printing
from authz.rego.builtins import BUILTINS
from authz.rego.names import Globals, dotted, ground_path, head_name
from authz.rego.nodes import Location, Ref, Scalar, Term, Var
from authz.rego.rule_checks import term_name
from authz.rego.types.calls import wrong_number

DATA = Var("data")


@dataclass(slots=True)
class Scope:
    """One body's (or argument list's) declarations; `actions` says how, `args` what it may not declare, `free` what else it names."""

    upcoming: set[str]
    args: frozenset[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    unused: dict[str, Location] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)


class Resolver:
    """Resolves the rules of one module. One instance per rule: it numbers that rule's locals."""

    def __init__(self, scope: Globals) -> None:
        self.globals = scope
        self.scopes: list[Scope] = []
        self.counter = 0

    # Rules

    def rule(self, rule: nodes.Rule) -> nodes.Rule:
        """Return the rule with every name resolved, its `else` chain included."""
        args = rule.head.args
        self._refuse_shadow(head_name(rule.head), "rules", "rule", rule.location)
        if args is not None:
            self._push(())
            for name, location in dict(_pattern_vars(args)).items():
                self._declare(name, location, action="given")
            args = tuple(self.term(arg) for arg in args)
        result = self._definition(rule, args)
        if args is not None:
            self.scopes.pop()
        return result

    def _definition(self, rule: nodes.Rule, args: tuple[Term, ...] | None) -> nodes.Rule:
        self._push(rule.body, frozenset(self.scopes[-1].names) if args is not None else frozenset())
        body = tuple(self._literal(literal) for literal in rule.body)
        head = rule.head
        resolved = nodes.Head(
            replace(head.ref, args=tuple(self.term(arg) for arg in head.ref.args)),
            args,
            None if head.key is None else self.term(head.key),
            None if head.value is None else self.term(head.value),
            head.location,
        )
        self._pop()
        orelse = None if rule.orelse is None else self._definition(rule.orelse, args)
        return replace(rule, head=resolved, body=body, orelse=orelse)

    def query(self, body: nodes.Body) -> nodes.Body:
        """Resolve a query: a body of its own, outside every rule."""
        self._push(body)
        resolved = tuple(self._literal(literal) for literal in body)
        self._pop()
        return resolved

    # Scopes

    def _push(self, body: nodes.Body, args: frozenset[str] = frozenset()) -> None:
        self.scopes.append(Scope(set(_declared(body)), args))

    def _pop(self) -> None:
        scope = self.scopes.pop()
        for name, location in scope.unused.items():
            raise errors.compile_error(errors.COMPILE, f"declared var {name} unused", location, help=f"remove `{name}` or use it")

    def _declare(self, name: str, location: Location, *, action: str = "assigned", must_use: bool = False) -> None:
        scope = self.scopes[-1]
        self._refuse_shadow(name, "args" if action == "given" else "variables", "variable", location)
        if name in scope.args:
            raise errors.compile_error(errors.COMPILE, f"arg {name} redeclared", location, help="choose another name")
        if name in scope.names:
            message = f"var {name} {scope.actions[name]} above"
            raise errors.compile_error(errors.COMPILE, message, location, help="choose another name, or compare with `==`")
        self.counter += 1
        scope.names[name] = f"{name}#{self.counter}"
        scope.actions[name] = action
        if must_use:
            scope.unused[name] = location

    def _refuse_shadow(self, name: str, what: str, kind: str, location: Location) -> None:
        if name in {"input", "data"} and self.globals.rego_version == 1:
            message = f"{what} must not shadow {name} (use a different {kind} name)"
            raise errors.compile_error(errors.COMPILE, message, location)

    def _find(self, var: Var) -> str | None:
        innermost = self.scopes[-1]
        if var.name in innermost.upcoming and var.name not in innermost.names:
            raise errors.compile_error(
                errors.COMPILE, f"var {var.name} referenced above", var.location, help="declare it before it is used"
            )
        for scope in reversed(self.scopes):
            if var.name in scope.names:
                scope.unused.pop(var.name, None)
                return scope.names[var.name]
        return None

    # Literals

    def _literal(self, literal: nodes.Literal) -> nodes.Literal:
        withs = tuple(self._with(item) for item in literal.withs)
        return replace(literal, expr=self._expr(literal.expr), withs=withs)

    def _with(self, item: nodes.With) -> nodes.With:
        target = self._with_target(item.target)
        path = ground_path(target)
        is_function = path[0] == "builtin" or path in self.globals.functions
        value = self._function_value(item.value) if is_function else None
        return replace(item, target=target, value=self.term(item.value) if value is None else value)

    def _with_target(self, target: Term) -> Ref:
        name = dotted(target)
        if name is not None:
            if (name[0] in self.globals.rules or name[0] in self.globals.imports) and self._local(name[0]) is None:
                name = self._global(name[0], ()) + name[1:]
            if name[0] not in {"input", "data"} and ".".join(name) in BUILTINS:
                return self._replaceable(".".join(name), target.location)
            if name[0] in {"input", "data"}:
                return Ref(Var(name[0]), tuple(Scalar(part) for part in name[1:]), target.location)
        raise errors.compile_error(
            errors.TYPE, "with keyword target must reference existing input, data, or a function", target.location
        )  # fmt: skip

    def _replaceable(self, name: str, location: Location) -> Ref:
        if BUILTINS[name].is_relation:
            message = "with keyword replacing built-in function: target must not be a relation"
            raise errors.compile_error(errors.COMPILE, message, location)
        return Ref(Var("builtin"), (Scalar(name),), location)

    def _function_value(self, value: Term) -> Ref | None:
        """Return a reference to the function or built-in that replaces another, or None if it is a value."""
        name = dotted(value)
        if name is not None and self._local(name[0]) is None:
            full = self._global(name[0], ()) + name[1:] if name[0] in self.globals.rules or name[0] in self.globals.imports else name
            if full in self.globals.functions:
                return Ref(Var("function"), tuple(Scalar(part) for part in full), value.location)
            if full[0] not in {"input", "data"} and ".".join(full) in BUILTINS:
                return self._replaceable(".".join(full), value.location)
        return None

    def _expr(self, expr: nodes.Expr) -> nodes.Expr:
        match expr:
            case nodes.TermExpr(nodes.Call() as call) if self._is_print(call):
                printing.refuse_unbound(call.args, self._is_known)
                return nodes.TermExpr(replace(call, args=tuple(self.term(arg) for arg in call.args)))
            case nodes.TermExpr(nodes.Call() as call):
                return nodes.TermExpr(self._call(call, spare=1))
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

    def _assign(self, left: Term, right: Term) -> nodes.Expr:
        resolved = self.term(right)
        _check_assignable(left)
        for name, location in _pattern_vars((left,)):
            self._declare(name, location)
        return nodes.Unify(self.term(left), resolved)

    def _some_in(self, key: Term | None, value: Term, domain: Term) -> nodes.Expr:
        resolved = self.term(domain)
        patterns = (value,) if key is None else (key, value)
        for name, location in _pattern_vars(patterns):
            self._declare(name, location, action="declared")
        return nodes.SomeIn(None if key is None else self.term(key), self.term(value), resolved)

    def _pattern(self, term: Term) -> Term:
        """Resolve a declaring pattern; being declared in it is not a use."""
        unused = dict(self.scopes[-1].unused)
        resolved = self.term(term)
        self.scopes[-1].unused = unused
        return resolved

    def _every(self, expr: nodes.Every) -> nodes.Expr:
        domain = self.term(expr.domain)
        self._push(())
        for var in (expr.key, expr.value):
            if var is not None and not var.is_wildcard:
                self._declare(var.name, var.location, must_use=True)
        key = None if expr.key is None else self._pattern(expr.key)
        value = self._pattern(expr.value)
        self._push(expr.body)
        body = tuple(self._literal(literal) for literal in expr.body)
        self._pop()
        self._pop()
        assert isinstance(value, Var)
        assert key is None or isinstance(key, Var)
        return nodes.Every(key, value, domain, body)

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
                return replace(term, parts=tuple(part if isinstance(part, str) else self.term(part) for part in parts))
            case nodes.ObjectComprehension():
                self._push(term.body)
                body = tuple(self._literal(literal) for literal in term.body)
                result = replace(term, key=self.term(term.key), value=self.term(term.value), body=body)
                self._pop()
                return result
            case nodes.ArrayComprehension() | nodes.SetComprehension():
                self._push(term.body)
                body = tuple(self._literal(literal) for literal in term.body)
                inner = replace(term, term=self.term(term.term), body=body)
                self._pop()
                return inner

    def _var(self, var: Var) -> Term:
        if var.is_wildcard:
            return var
        local = self._find(var)
        if local is not None:
            return Var(local, var.location)
        path = self._global(var.name, None)
        if path is not None:
            return _reference(path, (), var.location)
        self.scopes[-1].free.add(var.name)
        return var

    def _ref(self, ref: Ref, head: Term, args: tuple[Term, ...]) -> Term:
        resolved_head = self.term(head)
        resolved_args = tuple(self.term(arg) for arg in args)
        if isinstance(resolved_head, Ref):
            return Ref(resolved_head.head, resolved_head.args + resolved_args, ref.location)
        return Ref(resolved_head, resolved_args, ref.location)

    def _local(self, name: str) -> str | None:
        return next((scope.names[name] for scope in reversed(self.scopes) if name in scope.names), None)

    def _global(self, name: str, missing: tuple[str, ...] | None) -> tuple[str, ...]:
        if name in {"input", "data"}:
            return (name,)
        if name in self.globals.rules:
            return ("data", *self.globals.package, name)
        return self.globals.imports.get(name, missing)  # type: ignore[return-value]

    def _call(self, call: nodes.Call, *, spare: int = 0) -> nodes.Call:
        """Resolve a call. One that stands alone may have a spare argument: the pattern of its result."""
        return replace(call, operator=self._operator(call, spare), args=tuple(self.term(arg) for arg in call.args))

    def _is_known(self, name: str) -> bool:
        return bool(self._global(name, ())) or any(name in scope.names or name in scope.upcoming | scope.free for scope in self.scopes)

    def _is_print(self, call: nodes.Call) -> bool:
        return call.operator == ("print",) and self._local("print") is None and not self._global("print", ())

    def _operator(self, call: nodes.Call, spare: int) -> tuple[str, ...]:
        name = call.operator
        if self._is_print(call):
            raise printing.value_error(call)
        if self._local(name[0]) is None:
            path = self._global(name[0], None)
            if path is not None:
                return self._function(path + name[1:], call, spare)
        builtin = BUILTINS.get(".".join(name))
        if builtin is None:
            raise self._undefined(".".join(name), call.location)
        if builtin.deprecated and self.globals.rego_version == 1:
            raise errors.compile_error(errors.TYPE, f"deprecated built-in function calls in expression: {builtin.name}", call.location)
        size = len(builtin.params)
        if not size <= len(call.args) <= size + spare:
            raise self._wrong_number(builtin.name, size, call, spare)
        return name

    def _wrong_number(self, name: str, size: int, call: nodes.Call, spare: int) -> errors.CompileError:
        args = tuple(self.term(arg) for arg in call.args)
        help = f"`{name}` takes {_arguments(size)}, not {len(args)}"
        details = wrong_number(name, args, is_operand=not spare)
        return errors.CompileError((errors.Diagnostic(errors.TYPE, f"{name}: arity mismatch", call.location, help=help, details=details),))

    def _function(self, path: tuple[str, ...], call: nodes.Call, spare: int) -> tuple[str, ...]:
        size = self.globals.functions.get(path)
        if size is None:
            raise self._undefined(".".join(path), call.location)
        if not size <= len(call.args) <= size + spare:
            message = f"function {'.'.join(path)} has arity {size}, got {_arguments(len(call.args))}"
            raise errors.compile_error(errors.TYPE, message, call.location)
        return path

    def _undefined(self, name: str, location: Location) -> errors.CompileError:
        known = [*BUILTINS, *(".".join(path) for path in self.globals.functions), *self.globals.rules]
        close = difflib.get_close_matches(name, known, n=1)
        return errors.compile_error(
            errors.TYPE, f"undefined function {name}", location, help=f"did you mean `{close[0]}`?" if close else None
        )


def _arguments(size: int) -> str:
    return f"{size} argument" + ("" if size == 1 else "s")


def _reference(path: tuple[str, ...], args: tuple[Term, ...], location: Location) -> Ref:
    return Ref(Var(path[0], location), tuple(Scalar(part, location) for part in path[1:]) + args, location)


def _check_assignable(term: Term) -> None:
    """Raise unless the term is made of variables, arrays and objects only."""
    match term:
        case Var():
            pass
        case nodes.Array(items):
            for item in items:
                _check_assignable(item)
        case nodes.ObjectTerm(pairs):
            for _, value in pairs:
                _check_assignable(value)
        case _:
            raise errors.compile_error(errors.COMPILE, f"cannot assign to {term_name(term)}", term.location)


def _declared(body: nodes.Body) -> Iterator[str]:
    """Yield the names that the body's own literals declare, nested closures excluded."""
    for literal in body:
        match literal.expr:
            case nodes.Assign(left, _):
                yield from (name for name, _ in _pattern_vars((left,)))
            case nodes.SomeDecl(names):
                yield from (var.name for var in names)
            case nodes.SomeIn(key, value, _):
                yield from (name for name, _ in _pattern_vars((value,) if key is None else (key, value)))


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
