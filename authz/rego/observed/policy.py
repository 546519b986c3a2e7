"""A policy whose evaluations are observed: what a caller holds and asks, as `rego.Policy` is for deciding.

Never decides for anybody: it is slower by orders of magnitude, and its shortcuts are OPA's.
"""

from __future__ import annotations

from authz.rego import compiler, errors, names, nodes, parser, safety, variables
from authz.rego import plan as p
from authz.rego.compiler import Source
from authz.rego.errors import EvalError
from authz.rego.lower import ROOT_CONTEXT, Names
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Evaluation, Shortcuts
from authz.rego.observed.events import Observer
from authz.rego.observed.frames import Scope
from authz.rego.observed.plans import Body, StageLowerer
from authz.rego.observed.rewrite import Rewriter
from authz.rego.observed.rules import Rules
from authz.rego.observed.spans import SpanParser
from authz.rego.planner import Planned, plan_modules
from authz.rego.runtime import MAX_QUERY_STEPS, Context
from authz.rego.values import Value


def parse_with_spans(source: Source) -> tuple[nodes.Module, ...]:
    """Parse the modules of a source so that locations have extents. Raises CompileError."""
    return compiler.parse_source(source, SpanParser)


def compile_observed(source: Source) -> ObservedPolicy:
    """Compile a source for observation. Raises CompileError."""
    modules = parse_with_spans(source)
    return ObservedPolicy(source, modules, plan_modules(modules))


class ObservedQuery:
    """A query that is planned, ready to be observed again and again."""

    def __init__(self, rules: Rules, data: Value, body: Body, named: dict[str, p.Atom]) -> None:
        self._rules = rules
        self._data = data
        self._body = body
        self._named = named

    def context(self, document: Value | None, now_ns: int, strict_builtin_errors: bool = False) -> Context:
        """Return where an evaluation begins, with a query's budget. As in OPA, a strict one goes on behind the first failure."""
        context = Context(document, self._data, 0, now_ns, strict_builtin_errors)
        context.budget = [MAX_QUERY_STEPS]
        context.failures = []
        return context

    def solutions(
        self, context: Context, observer: Observer, *, with_variables: bool, shortcuts: Shortcuts = ALL_SHORTCUTS
    ) -> list[dict[str, Value]]:
        """Return the values of the query's variables in every solution. Raises EvalError, if strict for the first failure."""
        evaluation = Evaluation(self._rules, observer, with_variables=with_variables, shortcuts=shortcuts)
        found: list[dict[str, Value]] = []
        try:
            for values in evaluation.query(self._body, Scope(context)):
                atoms = self._named.items()
                found.append({name: atom.value if isinstance(atom, p.Const) else values[atom.name] for name, atom in atoms})
        except RecursionError:
            raise EvalError(errors.EVAL_INTERNAL, "evaluation is nested too deeply") from None
        if context.strict and context.failures:
            raise context.failures[0]
        return found


class ObservedPolicy:
    """A policy that is planned; `planned` is made of `modules`, which were parsed with spans."""

    def __init__(self, source: Source, modules: tuple[nodes.Module, ...], planned: Planned) -> None:
        self.modules = modules
        self._source = source
        self._planned = planned
        self._rules = Rules(planned)

    def parse_query(self, query: str) -> nodes.Body:
        """Parse a query, which has no file. Raises CompileError."""
        return parser.parse_query(query, self._source.query_version, "", SpanParser)

    def arity_of(self, operator: tuple[str, ...]) -> int | None:
        """Return how many arguments a built-in or a function (`data`, …) takes, None if there is no such function."""
        return self._planned.arity.functions.get(operator)

    def prepare(self, query: nodes.Body, header: nodes.Module | None = None) -> ObservedQuery:
        """Plan a query; a header gives it a package and imports. Raises CompileError."""
        planned = self._planned
        rewriter = Rewriter(planned.program.groups)
        flat = rewriter.body(planned.resolved(query, header))
        lowerer = StageLowerer(planned.program, planned.arity, Names(), {}, ROOT_CONTEXT)
        lowerer.body(rewriter.compiled(safety.order_body(tuple(flat), frozenset(), planned.arity)))
        own = {name for literal in flat for name in variables.own_vars(literal)}
        named = {names.original_name(name): lowerer.env[name] for name in sorted(own) if not name.startswith("$") and name in lowerer.env}
        return ObservedQuery(self._rules, self._source.data, lowerer.block(), named)
