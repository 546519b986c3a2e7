"""A compiled policy and its entry points: what a caller holds and asks.

Owns linking on first use, evaluation contexts and queries. The clock is the caller's: only `query`
and `decide`, the conveniences for people and tests, fall back to the current time.
"""

from __future__ import annotations

import io
import marshal
import pickle
from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import UTC, datetime
from functools import cached_property
from types import CodeType
from typing import Any, Final

from authz.rego import compiler, errors, parser
from authz.rego.artifact import Artifact, Entry, ReadSet, TableInfo
from authz.rego.codegen import Generator, scan_modifiers
from authz.rego.compiler import Source
from authz.rego.errors import EvalError
from authz.rego.linker import RuleFunction, compiled, document_at, link
from authz.rego.nodes import NOWHERE, Body, Module
from authz.rego.pending import Memory
from authz.rego.planlocals import used_names
from authz.rego.planner import Planned, plan_query
from authz.rego.pool import Pool
from authz.rego.program import Kind, Path
from authz.rego.reads import merged, minimal
from authz.rego.runtime import MAX_QUERY_STEPS, Context, patched
from authz.rego.terms import parse_value
from authz.rego.values import Document, Value, from_json, to_json


class Undefined:
    """The type of UNDEFINED, what `decide` gives where a rule has no value; it is neither false nor null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()
_ABSENT: Final[Any] = object()


def current_time_ns() -> int:
    """Return the current time, for callers that do not bring their own."""
    elapsed = datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((elapsed.days * 86400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds) * 1000


class EntryPoint:
    """One rule of a policy, ready to be asked."""

    __slots__ = ("_data", "_function", "_size", "path", "reads", "table")

    def __init__(self, path: str, entry: Entry, function: RuleFunction, artifact: Artifact) -> None:
        self.path = path
        self.reads: ReadSet = entry.reads
        self.table: TableInfo = entry.table
        self._function = function
        self._data = artifact.data
        self._size = artifact.memo_size

    def evaluate(
        self, document: Value | None, now_ns: int, strict_builtin_errors: bool = False, output: Callable[[str], None] | None = None
    ) -> Value | None:
        """Return the rule's value for an input document, or None where it is undefined. Raises EvalError.

        Strict meets every failing built-in only in a policy without tables (`optimize=False`): tables skip rows. `output` takes the
        lines of `print` in a policy compiled for it.
        """
        context = Context(document, self._data, self._size, now_ns, strict_builtin_errors)
        context.output = output
        try:
            return self._function(context)
        except RecursionError:
            raise EvalError(errors.EVAL_INTERNAL, "evaluation is nested too deeply") from None

    def evaluate_with(
        self,
        memory: Memory | None,
        document: Value | None,
        now_ns: int,
        strict_builtin_errors: bool = False,
        output: Callable[[str], None] | None = None,
    ) -> Value | None:
        """Return what `evaluate` does, with the answers of a memory. Raises EvalError; Pending, where it lacks one."""
        context = Context(document, self._data, self._size, now_ns, strict_builtin_errors)
        context.output = output
        context.recall(memory)
        try:
            return self._function(context)
        except RecursionError:
            raise EvalError(errors.EVAL_INTERNAL, "evaluation is nested too deeply") from None

    def decide(self, document: Document = _ABSENT, *, now_ns: int | None = None) -> Document | Undefined:
        """Return the rule's value as JSON, or UNDEFINED. Raises EvalError, ValueError for an input that is not JSON."""
        value = None if document is _ABSENT else from_json(document)
        result = self.evaluate(value, current_time_ns() if now_ns is None else now_ns)
        return UNDEFINED if result is None else to_json(result)


class PreparedQuery:
    """A compiled query, ready to be asked again and again."""

    __slots__ = ("_artifact", "_function", "_names")

    def __init__(self, artifact: Artifact, function: Any, names: tuple[str, ...]) -> None:
        self._artifact = artifact
        self._function = function
        self._names = names

    def context(self, document: Value | None, now_ns: int, strict_builtin_errors: bool = False) -> Context:
        """Return where an evaluation begins, with a query's budget."""
        context = Context(document, self._artifact.data, self._artifact.memo_size, now_ns, strict_builtin_errors)
        context.budget = [MAX_QUERY_STEPS]
        return context

    def solutions(self, context: Context) -> list[dict[str, Value]]:
        """Return the values of the query's variables in every solution. Raises EvalError."""
        found: list[tuple[Value, ...]] = []
        try:
            self._function(context, found)
        except RecursionError:
            raise EvalError(errors.EVAL_INTERNAL, "evaluation is nested too deeply") from None
        return [dict(zip(self._names, solution, strict=True)) for solution in found]


class Policy:
    """A set of modules and data, compiled."""

    def __init__(self, source: Source, artifact: Artifact, planned: Planned | None = None, code: CodeType | None = None) -> None:
        self.source = source
        self.artifact = artifact
        self._planned = planned
        self._code = compiled(artifact) if code is None else code
        self._namespace = link(artifact, code=self._code)
        self._variants: dict[tuple[frozenset[str], frozenset[Path], bool], tuple[Artifact, dict[str, Any]]] = {}

    @property
    def entrypoints(self) -> tuple[str, ...]:
        """The paths of all rules, sorted, as `entrypoint` takes them."""
        return tuple(sorted("/".join(path) for path in self.artifact.entries))

    def entrypoint(self, path: str) -> EntryPoint:
        """Return the rule at a path such as `envoy/authz/allow`, or the object of all rules below it.

        Raises CompileError if there is neither.
        """
        steps = tuple(step for step in path.split("/") if step)
        if steps in self.artifact.entries:
            return self.rule(steps)
        below = [entry for other, entry in self.artifact.entries.items() if other[: len(steps)] == steps]
        if not steps or not below:
            raise errors.compile_error(
                errors.COMPILE, f"entry point `{path}` is not a rule of the policy", NOWHERE, help=_entry_help(self.entrypoints)
            )
        return self._document(steps, below)

    def _document(self, steps: Path, rules: list[Entry]) -> EntryPoint:
        reads = merged(entry.reads for entry in rules)
        reads = ReadSet(reads.input, minimal((*reads.data, steps)), reads.nondeterministic)
        table = TableInfo(*(sum(sizes) for sizes in zip(*(astuple(entry.table) for entry in rules), strict=True)))
        function = document_at(self.artifact, self._namespace, ("data", *steps))
        return EntryPoint("/".join(steps), Entry("", reads, table), function, self.artifact)

    def rule(self, steps: Path) -> EntryPoint:
        """Return the rule at a path below `data`, whose steps may be any text. Raises KeyError if there is none."""
        entry = self.artifact.entries[steps]
        return EntryPoint("/".join(steps), entry, self._namespace[entry.function], self.artifact)

    def with_data(self, path: str, document: Document) -> Policy:
        """Return the policy with other base data at a path that was declared volatile. Nothing is compiled; this one stays as it is.

        Both have the same code, so only the last of them is to be retired.
        Raises ValueError for a path that is not volatile, or data that is not JSON.
        """
        steps = tuple(step for step in path.split("/") if step)
        if not any(("data", *steps)[: len(known)] == known for known in self.source.volatile):
            raise ValueError(f"data at `{path}` is not volatile: the policy may have been compiled for what is there now")
        data = patched(self.source.data, steps, from_json(document))
        other = Policy.__new__(Policy)
        other.source = replace(self.source, data=data)
        other.artifact = replace(self.artifact, data=data)
        other._planned, other._code, other._namespace, other._variants = self._planned, self._code, self._namespace, {}
        return other

    def body_holds(self, path: Path, index: int, position: int, context: Context) -> bool:
        """Tell whether a body of a rule without arguments holds (`position`: its place in the `else` chain of definition `index`).

        Only of a policy without tables (`optimize=False`), where every body has code of its own. Raises EvalError.
        """
        plan = self._plans().plans[path]
        if plan.kind is Kind.COMPLETE:
            return self._namespace[f"d{plan.number}_{index}_{position}"](context) is not None
        out: Any = set() if plan.kind is Kind.SET else self._namespace["Branch"]()
        self._namespace[f"d{plan.number}_{index}"](context, out)
        return len(out) > 0

    def to_bytes(self) -> bytes:
        """Return the policy in a form that another process of the same version can take over."""
        return pickle.dumps((self.source, self.artifact, marshal.dumps(self._code)), protocol=5)

    @staticmethod
    def from_bytes(content: bytes) -> Policy:
        """Return the policy of `to_bytes`, without compiling anything. Only for bytes of our own processes: they are trusted.

        A thread that does this while others serve holds them up for one pickle frame at a time (64 KiB), not for the whole.
        """
        source, artifact, code = pickle.Unpickler(_Interruptible(content)).load()  # noqa: S301
        return Policy(source, artifact, code=marshal.loads(code))  # noqa: S302

    def retire(self) -> None:
        """Free what this policy holds, piece by piece; it and its entry points cannot be asked afterwards.

        The generated functions and their namespace keep each other alive. Left to the garbage collector, a large policy that was
        replaced would stay until a full collection, and that stops every thread.
        """
        while self._namespace:
            self._namespace.popitem()

    def query(
        self,
        query: str,
        input: Document = _ABSENT,
        input_term: str | None = None,
        strict_builtin_errors: bool = False,
        now_ns: int | None = None,
    ) -> list[dict[str, Document]]:
        """Return the bindings of every solution of a query over the whole policy.

        `input_term` is the input as a Rego term and wins over `input`; neither: input is
        undefined. Strict: the first failing built-in raises EvalError instead of being undefined.
        """
        document = None if input is _ABSENT else from_json(input)
        if input_term is not None:
            document = parse_value(input_term)
        found = self.solutions(self.parse_query(query), document, strict_builtin_errors, now_ns)
        return [{name: to_json(value) for name, value in solution.items()} for solution in found]

    def parse_query(self, query: str) -> Body:
        """Parse a query in the Rego version of the policy's modules. Raises CompileError."""
        return parser.parse_query(query, self.source.query_version)

    def arity_of(self, operator: tuple[str, ...]) -> int | None:
        """Return how many arguments a built-in or a function (`data`, …) takes, None if there is no such function."""
        return self._plans().arity.functions.get(operator)

    def solutions(
        self, query: Body, document: Value | None, strict_builtin_errors: bool = False, now_ns: int | None = None
    ) -> list[dict[str, Value]]:
        """Return the values of the query's variables in every solution. Raises CompileError, EvalError."""
        prepared = self.prepare(query, strict_builtin_errors=strict_builtin_errors)
        return prepared.solutions(prepared.context(document, current_time_ns() if now_ns is None else now_ns, strict_builtin_errors))

    def prepare(self, query: Body, header: Module | None = None, *, strict_builtin_errors: bool = False) -> PreparedQuery:
        """Compile a query; a header gives it a package and imports. Raises CompileError."""
        planned = self._plans()
        block, named = plan_query(planned, query, header)
        mocked, overridden = scan_modifiers(block)
        artifact, namespace = self._variant(mocked, overridden, strict_builtin_errors)
        own_mocked, own_overridden = self._own_modifiers
        numbers = {path: plan.number for path, plan in planned.plans.items()}
        generator = Generator(numbers, own_mocked | mocked, own_overridden | overridden, _pool_of(artifact))
        names = tuple(named)
        atoms = tuple(named[name] for name in names)

        def write(writer: Any) -> None:
            writer.block(block, used_names((block, atoms)))
            writer.line(f"out.append(({''.join(writer.atom(atom) + ', ' for atom in atoms)}))")

        generator.function("query", ("c", "out"), write)
        code = compiler.make_artifact("query", generator.code(), planned, artifact.data, {})
        return PreparedQuery(artifact, link(code, namespace)["query"], names)

    def _plans(self) -> Planned:
        if self._planned is None:
            self._planned = compiler.plan_source(self.source)
        return self._planned

    @cached_property
    def _own_modifiers(self) -> tuple[frozenset[str], frozenset[Path]]:
        """The functions and the paths of `data` that the policy's own `with` modifiers replace."""
        return scan_modifiers(tuple(self._plans().plans.values()))

    def _variant(self, mocked: frozenset[str], overridden: frozenset[Path], strict: bool) -> tuple[Artifact, dict[str, Any]]:
        """Return the policy's code, generated again if the query replaces more than the policy does, or is strict.

        Strict evaluation must meet every failing built-in, so it runs without tables, which skip rows.
        """
        plain = strict and self.source.optimize
        if not mocked and not overridden and not plain:
            return self.artifact, self._namespace
        key = (mocked, overridden, plain)
        if key not in self._variants:
            source = replace(self.source, optimize=self.source.optimize and not plain)
            artifact = compiler.generate(self._plans(), source, mocked, overridden)
            self._variants[key] = (artifact, link(artifact))
        return self._variants[key]


class _Interruptible:
    """Bytes as a file whose methods are Python functions: between two of them the interpreter can let another thread run."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


def _pool_of(artifact: Artifact) -> Pool:
    """Return a pool that goes on numbering where the artifact's ended."""
    return Pool(list(artifact.constants), list(artifact.builtins), list(artifact.locations), list(artifact.places), list(artifact.tables))


def _entry_help(known: tuple[str, ...]) -> str:
    return "the policy has no rules" if not known else "rules of the policy: " + ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
