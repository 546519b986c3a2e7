"""What each stage of the compiler makes of a policy, as text: `authz compile --emit`.

Runs the same stages as `compile`; owns nothing but the printing of syntax trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from authz.rego import compiler, errors, lexer, nodes
from authz.rego.codegen import scan_modifiers
from authz.rego.compiler import Source
from authz.rego.nodes import NOWHERE, Location
from authz.rego.planner import Planned, used_groups
from authz.rego.plantext import plan_text, table_text
from authz.rego.program import Kind, Path
from authz.rego.reads import read_sets
from authz.rego.render import to_text
from authz.rego.values import Boolean, Document, Null

INDENT: Final = "  "

Paths = tuple[Path, ...]


def emit(
    stage: str,
    modules: Mapping[str, str],
    data: Document = None,
    rego_version: int | Mapping[str, int] = 1,
    entrypoints: Iterable[str] = (),
) -> str:
    """Return the text of one stage: tokens, nodes, plan, tables, reads or python. Raises CompileError.

    With entry points, plans and tables are those of the named rules and what they use.
    """
    printer = STAGES.get(stage)
    if printer is None:
        raise errors.compile_error(errors.COMPILE, f"unknown stage `{stage}`", NOWHERE, help="stages: " + ", ".join(STAGES))
    paths = tuple(("data", *(step for step in path.split("/") if step)) for path in entrypoints)
    return "\n".join(printer(compiler.make_source(modules, data, rego_version, optimize=True), paths))


def _tokens(source: Source, _: Paths) -> Iterator[str]:
    for name, text in source.modules:
        yield f"# {name}"
        yield from (str(token) for token in lexer.tokenize(name, text))


def _nodes(source: Source, _: Paths) -> Iterator[str]:
    for module in compiler.parse_source(source):
        yield f"# {module.file}"
        yield from node_lines(module, "")


def node_lines(node: object, indent: str) -> Iterator[str]:
    """Yield a syntax tree, a node a line, its parts indented below it."""
    if isinstance(node, nodes.Scalar):
        yield f"{indent}Scalar {to_text(node.value)}"
    elif isinstance(node, tuple):
        for item in node:
            yield from node_lines(item, indent)
    elif is_dataclass(node) and not isinstance(node, type):
        plain = {field.name: getattr(node, field.name) for field in fields(node) if field.name != "location"}
        simple = " ".join(f"{name}={value}" for name, value in plain.items() if _is_simple(value))
        where = getattr(node, "location", NOWHERE)
        yield f"{indent}{type(node).__name__} {simple}".rstrip() + (f"  # {where.row}:{where.col}" if where.row else "")
        for name, value in plain.items():
            if not _is_simple(value) and value != ():
                yield f"{indent}{INDENT}{name}:"
                yield from node_lines(value, indent + INDENT * 2)
    elif node is not None:
        yield f"{indent}{node}"


def _is_simple(value: object) -> bool:
    names = isinstance(value, tuple) and value != () and all(isinstance(item, str) for item in value)
    return names or isinstance(value, str | int | bool | Boolean | Null | Location) or value is None


def shown(planned: Planned, entries: Paths) -> tuple[Path, ...]:
    """Return the rules to print, used ones first. Raises CompileError for an entry point that is no rule."""
    if not entries:
        return planned.order
    needed: set[Path] = set()
    waiting = list(entries)
    while waiting:
        path = waiting.pop()
        if path not in planned.plans:
            raise errors.compile_error(errors.COMPILE, f"entry point `{'/'.join(path[1:])}` is not a rule of the policy", NOWHERE)
        if path not in needed:
            needed.add(path)
            waiting.extend(used_groups(planned.plans[path], planned.program))
    return tuple(path for path in planned.order if path in needed)


def _plan(source: Source, entries: Paths) -> Iterator[str]:
    planned = compiler.plan_source(source)
    yield from (plan_text(planned.plans[path]) for path in shown(planned, entries))


def _tables(source: Source, entries: Paths) -> Iterator[str]:
    planned = compiler.plan_source(source)
    mocked, overridden = scan_modifiers(tuple(planned.plans.values()))
    final, tables = compiler.tables_of(planned, source, overridden, mocked)
    for path in shown(final, entries):
        if path in tables:
            yield table_text(tables[path])
        else:
            yield f"no table for {'.'.join(path)}: its code is the shortest test"


def _reads(source: Source, entries: Paths) -> Iterator[str]:
    planned = compiler.plan_source(source)
    found = read_sets(planned)
    for path in shown(planned, entries):
        if planned.plans[path].kind is Kind.FUNCTION:
            continue
        reads = found[path]
        yield f"reads {'.'.join(path)}"
        yield from (f"  input{_steps(steps)}" for steps in reads.input)
        yield from (f"  data{_steps(steps)}" for steps in reads.data)
        yield from (f"  non-deterministic {name}" for name in reads.nondeterministic)


def _steps(path: tuple[str, ...]) -> str:
    return "".join(f"[{to_text(step)}]" for step in path)


def _python(source: Source, entries: Paths) -> Iterator[str]:
    planned = compiler.plan_source(source)
    shown(planned, entries)
    yield compiler.generate(planned, source).text


STAGES: Final[dict[str, Callable[[Source, Paths], Iterator[str]]]] = {
    "tokens": _tokens,
    "nodes": _nodes,
    "plan": _plan,
    "tables": _tables,
    "reads": _reads,
    "python": _python,
}
