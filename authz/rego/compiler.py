"""The compiler's driver: sources in, artifact out.

Owns the order of the stages and the options that change it. Each stage is a module of its own.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from authz.rego import nodes, parser
from authz.rego.artifact import Artifact, Entry, TableInfo
from authz.rego.codegen import Code, Generator, scan_modifiers
from authz.rego.optimize import optimized
from authz.rego.parse_imports import HeaderParser
from authz.rego.planner import Planned, plan_modules, walk
from authz.rego.program import Kind, Path
from authz.rego.purity import is_print
from authz.rego.reads import read_sets
from authz.rego.tables.expressions import World
from authz.rego.tables.table import Table, TableBuilder
from authz.rego.types import Schemas
from authz.rego.values import EMPTY_OBJECT, Document, Value, from_json


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from running meanwhile.

    A compiler makes millions of objects that live to its end and hardly a cycle; looking through them again and again is
    half of its time (10,000 rules: 7.9 s with the collector, 4.3 s without).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Source:
    """What a policy is compiled from; kept so that a query can extend it later. `prints`: `print` writes to an evaluation's output."""

    modules: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, int], ...]
    data: Value
    optimize: bool
    volatile: tuple[Path, ...] = ()
    """Paths of base data (from `data`) that may be replaced later: they are looked up, never folded into code or tables."""
    schemas: Schemas | None = None

    prints: bool = False

    @property
    def query_version(self) -> int:
        """The Rego version of queries: that of the modules."""
        return max((version for _, version in self.versions), default=1)


def make_source(
    modules: Mapping[str, str],
    data: Document,
    rego_version: int | Mapping[str, int],
    optimize: bool,
    volatile: Iterable[str] = (),
) -> Source:
    """Return the source of a policy, its data as a value. Raises CompileError for data that is not JSON."""
    names = sorted(modules)
    versions = tuple((name, rego_version if isinstance(rego_version, int) else rego_version.get(name, 1)) for name in names)
    document = EMPTY_OBJECT if data is None else from_json(data)
    paths = tuple(sorted(("data", *(step for step in path.split("/") if step)) for path in volatile))
    return Source(tuple((name, modules[name]) for name in names), versions, document, optimize, paths)


def parse_source(source: Source, grammar: type[HeaderParser] = HeaderParser) -> tuple[nodes.Module, ...]:
    versions = dict(source.versions)
    return tuple(parser.parse_module(name, text, versions[name], grammar) for name, text in source.modules)


def plan_source(source: Source) -> Planned:
    """Parse and plan. Raises CompileError."""
    return plan_modules(parse_source(source), prints=source.prints, schemas=source.schemas)


def does_print(planned: Planned) -> bool:
    """Tell whether an evaluation may print."""
    return planned.prints and any(map(is_print, walk(tuple(planned.plans.values()))))


def world_of(source: Source, overridden: frozenset[Path], mocked: frozenset[str]) -> World:
    """Return what the tables of a policy may rely on."""
    return World(source.data, mocked, overridden.union(source.volatile))


def tables_of(planned: Planned, source: Source, overridden: frozenset[Path], mocked: frozenset[str]) -> tuple[Planned, dict[Path, Table]]:
    """Return the optimised plans and the tables of the rules that profit from one."""
    if not source.optimize:
        return planned, {}
    world = world_of(source, overridden, mocked)
    better = optimized(planned, world.data, world.overridden)
    builder = TableBuilder(better, world)
    made = {path: builder.build(better.plans[path]) for path in better.order}
    return better, {path: table for path, table in made.items() if table is not None}


def generate(
    planned: Planned, source: Source, extra_mocked: frozenset[str] = frozenset(), extra_overridden: frozenset[Path] = frozenset()
) -> Artifact:
    """Generate the code of every rule. The extras are replaced by a query's `with` only."""
    mocked, overridden = scan_modifiers(tuple(planned.plans.values()))
    mocked, overridden = mocked | extra_mocked, overridden | extra_overridden
    final, tables = tables_of(planned, source, overridden, mocked)
    numbers = {path: plan.number for path, plan in final.plans.items()}
    generator = Generator(numbers, mocked, overridden)
    for path in final.order:
        generator.rule(final.plans[path], tables.get(path))
    code = generator.code()
    return make_artifact("policy", code, planned, source.data, _entries(code, planned, tables))


def _entries(code: Code, planned: Planned, tables: Mapping[Path, Table]) -> dict[Path, Entry]:
    reads = read_sets(planned)
    return {
        path[1:]: Entry(code.functions[path], reads[path], tables[path].info() if path in tables else TableInfo(0, 0, 0))
        for path, plan in planned.plans.items()
        if plan.kind is not Kind.FUNCTION
    }


def make_artifact(name: str, code: Code, planned: Planned, data: Value, entries: dict[Path, Entry]) -> Artifact:
    """Return the artifact of generated code; that of a query has no entry points."""
    pool = code.pool
    functions = tuple(sorted(path for path, plan in planned.plans.items() if plan.kind is Kind.FUNCTION))
    return Artifact(
        name, code.text, tuple(pool.constants), tuple(pool.builtins), tuple(pool.locations), tuple(pool.places), tuple(pool.tables),
        dict(code.functions), functions, planned.program.packages, code.line_map, len(planned.plans), data, entries,
    )  # fmt: skip
