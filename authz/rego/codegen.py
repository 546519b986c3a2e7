"""Generation of Python from plans: one function per rule, definition and nested body.

Deterministic: the same plans give the same text. Nothing that an author wrote is ever part of
it: names are minted, everything else travels in the `Pool`, and generated code may
only touch the pool's names and `runtime.EXPORTED`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from authz.rego import plan as p
from authz.rego.blocks import BlockWriter
from authz.rego.nodes import Location
from authz.rego.planlocals import used_names
from authz.rego.planner import walk
from authz.rego.pool import Pool
from authz.rego.program import Kind, Path
from authz.rego.tablecode import TableWriter
from authz.rego.tables.table import Table, single_constant


@dataclass(frozen=True, slots=True)
class Code:
    """Generated text, the pool it names, and the Rego location of each of its lines (or None)."""

    text: str
    pool: Pool
    line_map: tuple[Location | None, ...]
    functions: dict[Path, str]


class Generator:
    """Generates one module. `overridden` are the paths of `data` that some `with` replaces."""

    def __init__(self, numbers: dict[Path, int], mocked: frozenset[str], overridden: frozenset[Path], pool: Pool | None = None) -> None:
        self.pool = pool or Pool()
        self.mocked = mocked
        self.overridden = overridden
        self.numbers = numbers
        self.lines: list[tuple[str, Location | None]] = []
        self.closures = 0
        self.sequences = 0

    def function_name(self, path: Path) -> str:
        return f"r{self.numbers[path]}"

    def closure(self, prefix: str, params: tuple[str, ...], write: Callable[[BlockWriter], None]) -> str:
        self.closures += 1
        return self.function(f"{prefix}{self.closures}", params, write)

    def function(self, name: str, params: tuple[str, ...], write: Callable[[BlockWriter], None], fail: str = "return None") -> str:
        """Add a function of the given name whose body `write` writes."""
        writer = BlockWriter(self, fail)
        write(writer)
        self.lines.append((f"def {name}({', '.join(params)}):", None))
        self.lines.extend(writer.lines)
        self.lines.append(("", None))
        return name

    def sequence(self, items: list[str | None]) -> str:
        """Add a module-level tuple of expressions, behind the functions it names."""
        self.sequences += 1
        name = f"S{self.sequences}"
        self.lines.append((f"{name} = ({''.join(f'{item}, ' for item in items)})", None))
        return name

    def code(self) -> Code:
        """Return the text written so far."""
        functions = {path: f"r{number}" for path, number in self.numbers.items()}
        return Code("\n".join(text for text, _ in self.lines), self.pool, tuple(location for _, location in self.lines), functions)

    # Rules

    def rule(self, plan: p.RulePlan, table: Table | None) -> None:
        """Add the functions of one group of rules."""
        if plan.kind in {Kind.COMPLETE, Kind.FUNCTION}:
            self._value_rule(plan, table)
        else:
            self._collection_rule(plan, table)

    def _value_rule(self, plan: p.RulePlan, table: Table | None) -> None:
        """Complete rules and functions: the one value that all definitions agree on, else the default."""
        params = tuple(f"a{index}" for index in range(plan.arity))
        arguments = ", ".join(("c", *params))
        if table is None:
            calls = [
                f"{self._definition_chain(plan, f'd{plan.number}_{index}', item)}({arguments})"
                for index, item in enumerate(plan.definitions)
            ]
        else:
            look_up = self._table(plan, table, params)
        default = None if plan.default is None else self._definition(plan, f"d{plan.number}_default", plan.default)

        def write(writer: BlockWriter) -> None:
            self._begin(plan, writer)
            if table is None:
                self._join(plan, writer, calls)
            else:
                writer.line(f"v = {look_up}({arguments})")
            if default is not None:
                writer.line("if v is None:")
                writer.line(f"    v = {default}({', '.join(('c', *(plan.default.params if plan.default else ())))})")
            self._end(plan, writer)

        self.function(f"r{plan.number}", ("c", *params), write)

    def _table(self, plan: p.RulePlan, table: Table, params: tuple[str, ...]) -> str:
        """Add the function that looks a rule's table up, and those of what the table leaves to code; return its name."""
        add = self._definition if plan.kind in {Kind.COMPLETE, Kind.FUNCTION} else self._collector
        codes = self.sequence([add(plan, f"d{plan.number}_{index}", item) for index, item in enumerate(table.residuals)])

        def write(writer: BlockWriter) -> None:
            look_up = TableWriter(writer, plan, table, codes)
            if plan.kind in {Kind.COMPLETE, Kind.FUNCTION}:
                look_up.values()
            else:
                look_up.members()

        return self.function(f"t{plan.number}", ("c", *params), write)

    def _begin(self, plan: p.RulePlan, writer: BlockWriter) -> None:
        if plan.kind is not Kind.FUNCTION and any(plan.path[: len(path)] == path for path in self.overridden):
            writer.line(f"v = overridden(c, {self.pool.constant(plan.path)})")
            writer.line("if v is not MISSING: return v")
        if plan.kind is Kind.FUNCTION:
            writer.line("spend(c, 1)")
        else:
            writer.line(f"v = c.memo[{plan.number}]")
            writer.line("if v is not MISSING: return v")

    def _end(self, plan: p.RulePlan, writer: BlockWriter) -> None:
        if plan.kind is not Kind.FUNCTION:
            writer.line(f"c.memo[{plan.number}] = v")
        writer.line("return v")

    def _join(self, plan: p.RulePlan, writer: BlockWriter, calls: list[str]) -> None:
        """Write the joint value of the definitions to `v`; with one constant value, the first that has it will do."""
        writer.line("v = None" if not calls else f"v = {calls[0]}")
        if len(calls) > 1 and single_constant(plan):
            for call in calls[1:]:
                writer.line(f"if v is None: v = {call}")
            return
        for call, definition in zip(calls[1:], plan.definitions[1:], strict=True):
            location = self.pool.location(definition.location)
            writer.line(f"w = {call}")
            writer.join(conflict_kind(plan), location)

    def _definition_chain(self, plan: p.RulePlan, name: str, definition: p.Definition) -> str:
        """Add a definition and its `else` chain; return the name of a function for the whole chain."""
        names = [self._definition(plan, f"{name}_{place}", item) for place, item in enumerate(definition.chain())]
        if len(names) == 1:
            return names[0]
        params = ("c", *definition.params)

        def write(writer: BlockWriter) -> None:
            writer.line(f"v = {names[0]}({', '.join(params)})")
            for other in names[1:]:
                writer.line(f"if v is None: v = {other}({', '.join(params)})")
            writer.line("return v")

        return self.function(name, params, write)

    def _definition(self, plan: p.RulePlan, name: str, definition: p.Definition) -> str:
        """Add a function that gives the definition's value: the one that all its solutions agree on."""
        used = used_names((definition.block, definition.value))
        accumulates = iterates(definition) and not isinstance(definition.value, p.Const)

        def write(writer: BlockWriter) -> None:
            if accumulates:
                writer.line("r = None")
                writer.fail = "return r"
            writer.block(definition.block, used)
            if not is_dead(definition):
                self._result(plan, writer, definition, accumulates=accumulates)
            if accumulates:
                writer.depth = 1
                writer.line("return r")

        return self.function(name, ("c", *definition.params), write)

    def _result(self, plan: p.RulePlan, writer: BlockWriter, definition: p.Definition, *, accumulates: bool) -> None:
        value = writer.atom(definition.value)
        if not accumulates:
            return writer.line(f"return {value}")
        location = self.pool.location(definition.location)
        writer.line(f"if r is None: r = {value}")
        return writer.line(f'elif r != {value}: raise conflict("{conflict_kind(plan)}", {location})')

    # Sets and objects

    def _collection_rule(self, plan: p.RulePlan, table: Table | None) -> None:
        if table is not None:
            calls = [self._table(plan, table, ("out",))]
        else:
            calls = [self._collector(plan, f"d{plan.number}_{index}", item) for index, item in enumerate(plan.definitions)]
        deep = is_deep(plan)

        def write(writer: BlockWriter) -> None:
            self._begin(plan, writer)
            writer.line("out = set()" if plan.kind is Kind.SET else "out = Branch()" if deep else "out = dict()")
            for keys, is_set in plan.places:
                writer.line(f"reserve(out, {self.pool.constant(keys)}, {is_set})")
            for call in calls:
                writer.line(f"{call}(c, out)")
            writer.line("v = Set(out)" if plan.kind is Kind.SET else "v = grown(out)" if deep else "v = Object(out)")
            self._end(plan, writer)

        self.function(f"r{plan.number}", ("c",), write)

    def _collector(self, plan: p.RulePlan, name: str, definition: p.Definition) -> str:
        """Add a function that puts every solution of a definition into `out`."""
        used = used_names((definition.block, definition.heads))
        chain = None if definition.orelse is None else self._definition_chain(plan, f"{name}_value", definition)

        def write(writer: BlockWriter) -> None:
            if chain is not None:
                writer.line(f"v = {chain}(c)")
                writer.line("if v is not None:")
                writer.depth += 1
                writer.line(self._collect(plan, writer, replace(definition, value=p.Local("v"))))
                return
            writer.block(definition.block, used)
            if not is_dead(definition):
                writer.line(self._collect(plan, writer, definition))

        return self.function(name, ("c", "out", *definition.params), write)

    def _collect(self, plan: p.RulePlan, writer: BlockWriter, definition: p.Definition) -> str:
        if plan.kind is Kind.SET:
            assert definition.key is not None
            return f"out.add({writer.atom(definition.key)})"
        location = self.pool.location(definition.location)
        if not is_deep(plan):
            return f"put(out, {writer.atom(definition.keys[0])}, {writer.atom(definition.value)}, {location})"
        keys = "".join(writer.atom(key) + ", " for key in definition.keys)
        leaf = definition.value if definition.key is None else definition.key
        return f"plant(out, ({keys}), {writer.atom(leaf)}, {definition.key is not None}, {location})"


def conflict_kind(plan: p.RulePlan) -> str:
    """Return the runtime's word for two different values of this rule."""
    return "function" if plan.kind is Kind.FUNCTION else "complete"


def is_dead(definition: p.Definition) -> bool:
    """Tell whether the definition is known to have no solution; then what its head needs may be missing."""
    return bool(definition.block) and definition.block[-1] == p.Check(p.Never())


def is_deep(plan: p.RulePlan) -> bool:
    """Tell whether an object's rules have several keys, or sets as values."""
    return any(len(definition.keys) != 1 or definition.key is not None for definition in plan.definitions)


def iterates(definition: p.Definition) -> bool:
    """Tell whether the definition's own body can have several solutions."""
    return any(isinstance(step, p.Loop | p.LoopRelation) for step in definition.block)


def scan_modifiers(plans: object) -> tuple[frozenset[str], frozenset[Path]]:
    """Return the functions and the paths of `data` that the plans' `with` modifiers replace."""
    modifiers = [item for item in walk(plans) if isinstance(item, p.Modifier)]
    mocked = frozenset(".".join(item.path) for item in modifiers if item.root == "function")
    return mocked, frozenset(("data", *item.path) for item in modifiers if item.root == "data")
