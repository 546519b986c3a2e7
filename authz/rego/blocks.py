"""Python text for the blocks of a plan.

Owns how steps, expressions and conditions become statements, and which nested
bodies become functions of their own. Does not know rules, tables or modules.
"""

from __future__ import annotations

from authz.rego import errors
from authz.rego import plan as p
from authz.rego.builtins import BUILTINS
from authz.rego.planlocals import free_names, tested_next, used_names
from authz.rego.program import Path
from authz.rego.textwriter import TextWriter

MAX_LOOPS = 16
"""Iterations that may nest in one body: Python allows 20 nested blocks in a function."""

MAX_NESTED = 16
"""Conditions of a negation that are written one inside the other; Python allows 100 levels of indentation."""


class BlockWriter(TextWriter):
    """Writes one function's body from a block's steps."""

    # Steps

    def block(self, block: p.Block, used: frozenset[str]) -> None:
        """Write the steps; what follows is written where the block has a solution."""
        for index, step in enumerate(block):
            if step.location.row:
                self.location = step.location
            following = block[index + 1] if index + 1 < len(block) else None
            self._step(step, following, used)

    def _step(self, step: p.Step, following: p.Step | None, used: frozenset[str]) -> None:
        match step:
            case p.Let(name, expr):
                self.assign(name, expr)
                if not tested_next(name, following):
                    self.failing(f"{name} is None")
            case p.Check(cond):
                self._check(cond)
            case p.Loop(collection, key, value):
                self._loop(self.atom(collection), key if key in used else None, value if value in used else None)
            case p.LoopRelation(call, value):
                self._relation(call, value)
            case p.Scope():
                self._scope(step)
            case p.Bind(name, place):
                self.line(f"{name} = e[{place}]")

    def _enter_loop(self) -> None:
        self.loops += 1
        if self.loops > MAX_LOOPS:
            location = self.location
            assert location is not None
            raise errors.compile_error(errors.COMPILE, f"more than {MAX_LOOPS} nested iterations in one body", location,
                                       help="move a part of the body into a rule of its own")  # fmt: skip
        self.depth += 1
        self.fail = "continue"

    def _loop(self, collection: str, key: str | None, value: str | None) -> None:
        if key is not None and value is not None:
            self.line(f"for {key}, {value} in items(c, {collection}):")
        elif key is not None:
            self.line(f"for {key} in keys_of(c, {collection}):")
        else:
            self.line(f"for {value or '_'} in values_of(c, {collection}):")
        self._enter_loop()

    def _relation(self, call: p.CallBuiltin, value: str) -> None:
        results = self.temporary()
        self.call_builtin(results, call)
        self.failing(f"{results} is None")
        self.line(f"for {value} in {results}:")
        self._enter_loop()
        self.line("spend(c, 1)")

    def _scope(self, step: p.Scope) -> None:
        parts = "".join(self._modifier(modifier) + ", " for modifier in step.modifiers)
        self.line(f"{step.name} = scope({step.base}, ({parts}))")

    def _modifier(self, modifier: p.Modifier) -> str:
        if modifier.root == "function":
            name = self.constant(".".join(modifier.path))
            if modifier.value is not None:
                return f'("value", {name}, {self.atom(modifier.value)})'
            assert modifier.callable_path is not None
            kind = "rule" if modifier.is_rule else "call"
            return f'("{kind}", {name}, {self._callable(modifier.callable_path)})'
        assert modifier.value is not None
        path = modifier.path if modifier.root == "input" else ("data", *modifier.path)
        return f'("{modifier.root}", {self.constant(path)}, {self.atom(modifier.value)})'

    def _callable(self, path: Path) -> str:
        if path[0] == "data":
            return self.unit.function_name(path)
        return self.lifted(".".join(path))

    # Expressions

    def assign(self, name: str, expr: p.Expr) -> None:
        """Write `name = expr`; None where it is undefined."""
        match expr:
            case p.Const() | p.Local():
                self.line(f"{name} = {self.atom(expr)}")
            case p.Input(ctx, path):
                self.line(f"{name} = {self.input_path(ctx, path)}")
            case p.BaseData(ctx, path):
                self.line(f"{name} = get_data({ctx}.data, ({''.join(self.atom(step) + ', ' for step in path)}))")
            case p.RuleValue(ctx, path):
                self.line(f"{name} = {self.unit.function_name(path)}({ctx})")
            case p.Document(ctx, path):
                self.line(f"{name} = document({ctx}, {self.unit.pool.place(path)})")
            case p.Lookup(base, key):
                self.line(f"{name} = {self.lookup(self.atom(base), key)}")
            case p.CallBuiltin():
                self.call_builtin(name, expr)
                if BUILTINS[expr.name].returns_bool and expr.name not in self.unit.mocked:
                    self.line(f"{name} = BOOL[{name}]")
            case p.CallRule():
                self.call_rule(name, expr)
            case p.MakeArray(items):
                self.line(f"{name} = ({''.join(self.atom(item) + ', ' for item in items)})")
            case p.MakeSet(items):
                self.line(f"{name} = Set(({''.join(self.atom(item) + ', ' for item in items)}))")
            case p.MakeObject(pairs):
                self.line(f"{name} = Object(({''.join(f'({self.atom(k)}, {self.atom(v)}), ' for k, v in pairs)}))")
            case p.Comprehension():
                self._comprehension(name, expr)

    def _comprehension(self, name: str, expr: p.Comprehension) -> None:
        heads = (expr.value,) if expr.key is None else (expr.key, expr.value)
        params = free_names(expr.block, heads)
        used = used_names((expr.block, heads))

        def write(writer: BlockWriter) -> None:
            writer.line({"array": "out = list()", "set": "out = set()", "object": "out = dict()"}[expr.kind])
            writer.once(expr.block, used)
            writer.line(_collect(writer, expr))
            writer.depth = 1
            writer.line({"array": "return tuple(out)", "set": "return Set(out)", "object": "return Object(out)"}[expr.kind])

        function = self.unit.closure("g", params, write)
        self.line(f"{name} = {function}({', '.join(params)})")

    def once(self, block: p.Block, used: frozenset[str]) -> None:
        """Write the block so that giving up a path goes on behind it."""
        self.line("for _ in ONCE:")
        self._enter_loop()
        self.block(block, used)

    # Conditions

    def _check(self, cond: p.Cond) -> None:
        if isinstance(cond, p.NoSolution):
            self.failing(self._tried(cond.block))
        elif isinstance(cond, p.Every):
            self._every(cond)
        elif isinstance(cond, p.Holds):
            self.failing(self._holds(cond, negate=True))
        elif isinstance(cond, p.Never):
            self.line(self.fail)
        else:
            self.failing(self._simple(cond, negate=True))

    def _holds(self, cond: p.Holds, *, negate: bool) -> str:
        name = self.temporary()
        self.call_builtin(name, cond.call)
        if cond.call.name in self.unit.mocked:
            return f"{name} is None or {name} is FALSE" if negate else f"{name} is not None and {name} is not FALSE"
        return f"not {name}" if negate else name

    def _simple(self, cond: p.Cond, *, negate: bool) -> str:
        match cond:
            case p.Truthy(atom):
                name = self.atom(atom)
                return f"{name} is None or {name} is FALSE" if negate else f"{name} is not None and {name} is not FALSE"
            case p.Equal(left, right):
                return f"{self.atom(left)} {'!=' if negate else '=='} {self.atom(right)}"
            case p.IsArray(atom, size):
                name = self.atom(atom)
                text = f"{name}.__class__ is tuple and len({name}) == {size}"
            case p.IsObject(atom, size):
                name = self.atom(atom)
                text = f"{name}.__class__ is Object and len({name}) == {size}"
            case _:
                text = "False"
        return f"not ({text})" if negate else text

    def _tried(self, block: p.Block) -> str:
        """Write nested conditions, or the call of a function if they were many; return what tells whether the block has a solution."""
        if any(isinstance(step, p.Loop | p.LoopRelation) for step in block) or _size(block) > MAX_NESTED:
            return self._solves(block)
        flag, depth, prefixes = self.temporary(), self.depth, dict(self.prefixes)
        self.line(f"{flag} = False")
        for step in block:
            self._nested(step)
        self.line(f"{flag} = True")
        self.depth, self.prefixes = depth, prefixes
        return flag

    def _nested(self, step: p.Step) -> None:
        match step:
            case p.Let(name, expr):
                self.assign(name, expr)
                self.line(f"if {name} is not None:")
            case p.Check(p.Holds() as cond):
                self.line(f"if {self._holds(cond, negate=False)}:")
            case p.Check(p.NoSolution(block)):
                self.line(f"if not {self._tried(block)}:")
            case p.Check(p.Every()):
                self.line(f"if {self._solves((step,))}:")
            case p.Check(cond):
                self.line(f"if {self._simple(cond, negate=False)}:")
            case p.Scope():
                return self._scope(step)
        self.depth += 1
        return None

    def _solves(self, block: p.Block) -> str:
        """Add a function that tells whether the block has a solution; return the call of it."""
        params, used = free_names(block, ()), used_names(block)

        def write(writer: BlockWriter) -> None:
            writer.fail = "return False"
            writer.block(block, used)
            writer.line("return True")
            writer.depth = 1
            writer.line("return False")

        return f"{self.unit.closure('g', params, write)}({', '.join(params)})"

    def _every(self, cond: p.Every) -> None:
        names = (cond.value,) if cond.key is None else (cond.key, cond.value)
        used = used_names(cond.block)
        params = tuple(name for name in free_names(cond.block, ()) if name not in names)

        def write(writer: BlockWriter) -> None:
            writer.fail = "return False"
            writer.block(cond.block, used)
            writer.line("return True")
            writer.depth = 1
            writer.line("return False")

        function = self.unit.closure("g", params + names, write)
        domain, flag = self.atom(cond.domain), self.temporary()
        self.failing(f"{domain}.__class__ not in COLLECTIONS")
        self.line(f"{flag} = True")
        target = f"{cond.key}, {cond.value} in items(c, {domain})" if cond.key else f"{cond.value} in values_of(c, {domain})"
        self.line(f"for {target}:")
        self.line(f"    if not {function}({', '.join(params + names)}):")
        self.line(f"        {flag} = False")
        self.line("        break")
        self.failing(f"not {flag}")


def _size(block: p.Block) -> int:
    """Return how many conditions there are in a block and its negations."""
    return sum(1 + (_size(step.cond.block) if isinstance(step, p.Check) and isinstance(step.cond, p.NoSolution) else 0) for step in block)


def _collect(writer: BlockWriter, expr: p.Comprehension) -> str:
    value = writer.atom(expr.value)
    if expr.kind == "array":
        return f"out.append({value})"
    if expr.kind == "set":
        return f"out.add({value})"
    assert expr.key is not None
    return f"put(out, {writer.atom(expr.key)}, {value}, {writer.unit.pool.location(expr.location)})"
