"""Rules and documents of an observed evaluation: which definitions are tried, what they make, and the events of each.

Owns candidates, early exit, conflicts and what is remembered within a scope. Steps and expressions are `steps`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from authz.rego.names import constants
from authz.rego.observed.events import Observer, Op
from authz.rego.observed.expressions import Values
from authz.rego.observed.facts import Place
from authz.rego.observed.frames import EarlyExit, Frame, Scope, at, leave
from authz.rego.observed.index import Found
from authz.rego.observed.plans import Body, Definition
from authz.rego.observed.rules import Rules
from authz.rego.observed.steps import Steps
from authz.rego.program import Group, Kind, Node, Path
from authz.rego.runtime import EXPORTED, MISSING, conflict, get_data, grown, overridden, plant, reserve, spend
from authz.rego.runtime import _overlaid as overlaid
from authz.rego.values import Object, Set, Value


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What OPA leaves out because it cannot change a result: rules that its index excludes, and what follows a settled rule."""

    indexing: bool = True
    early_exit: bool = True


ALL_SHORTCUTS = Shortcuts()


@dataclass(slots=True)
class _Attempt:
    """The evaluation of one complete rule or call: who asks, for what, and what its definitions have given so far.

    `reason` is that of a caller who needs no more.
    """

    frame: Frame
    scope: Scope
    found: Found
    args: tuple[Value, ...]
    key: tuple[Any, ...]
    value: Value | None = None
    is_defined: bool = False
    reason: EarlyExit | None = None


class Evaluation(Steps):
    """One evaluation of a query or of a rule, told to an observer."""

    def __init__(self, rules: Rules, observer: Observer, *, with_variables: bool, shortcuts: Shortcuts = ALL_SHORTCUTS) -> None:
        super().__init__(observer, with_variables=with_variables)
        self._rules = rules
        self._groups = rules.planned.program.groups
        self._shortcuts = shortcuts

    def query(self, body: Body, scope: Scope) -> Iterator[dict[str, Any]]:
        """Yield the locals for every way in which a query holds."""
        frame = self.frame(body, None, {}, {"c": scope})
        self.tell(Op.ENTER, frame, body)
        for _ in self.solve(frame):
            self.exited(frame, body)
            self.finish(frame)
            yield frame.values
            self.tell(Op.REDO, frame, body)

    def kind(self, path: Path) -> Kind | None:
        group = self._groups.get(path)
        return None if group is None else group.kind

    # Candidates

    def _candidates(self, frame: Frame, scope: Scope, group: Group, args: tuple[Value, ...] = ()) -> Found:
        index = self._rules.index(group)

        def resolve(place: Place) -> Value | None:
            root, steps = place
            if root == "args":
                number = steps[0]
                assert isinstance(number, int)
                return args[number]
            return at(scope.context.input, steps) if root == "input" else get_data(scope.context.data, steps)

        found = index.lookup(resolve) if self._shortcuts.indexing else index.all()
        found = found if self._shortcuts.early_exit else Found(found.chains, early_exit=False)
        self.tell(Op.INDEX, frame, frame.stage, found.message, group.path)
        return found

    # Complete rules and functions

    def complete(self, frame: Frame, scope: Scope, path: Path) -> Values:
        if (replaced := _replacement(scope, path)) is not MISSING:
            yield from () if replaced is None else (replaced,)
            return
        group = self._groups[path]
        found = self._candidates(frame, scope, group)
        key = (path,)
        if key in scope.cache:
            value = scope.cache[key]
            yield from () if value is None else (value,)
            return
        yield from self._defined(group, _Attempt(frame, scope, found, (), key))
        scope.cache.setdefault(key, None)

    def call(self, frame: Frame, scope: Scope, path: Path, args: tuple[Value, ...]) -> Values:
        if (replaced := _replacement(scope, path)) is not MISSING:
            yield from () if replaced is None else (replaced,)
            return
        spend(scope.context, 1)
        group = self._groups[path]
        found = self._candidates(frame, scope, group, args)
        key = (path, args)
        if key in scope.cache:
            yield scope.cache[key]
            return
        yield from self._defined(group, _Attempt(frame, scope, found, args, key))

    def _defined(self, group: Group, attempt: _Attempt) -> Values:
        """Yield the value that the candidates agree on, else the default's. Raises EvalError where they do not agree."""
        default = self._rules.default(group)
        for chain in attempt.found.chains:
            for link in chain:
                yield from self._tried(link, attempt)
                if attempt.is_defined:
                    break
            if attempt.is_defined and attempt.found.early_exit:
                return
        if attempt.value is None and default is not None:
            yield from self._tried(default, attempt)
        if attempt.reason is not None:
            raise attempt.reason

    def _tried(self, link: Definition, attempt: _Attempt) -> Values:
        lowered = link.lowered(0)
        values = {f"a{index}": arg for index, arg in enumerate(attempt.args)}
        inner = self.frame(lowered.body, attempt.frame, values, {"c": attempt.scope})
        inner.is_settled_by_one = attempt.found.early_exit
        self.tell(Op.ENTER, inner, link)
        attempt.is_defined = False
        solutions = self.solve(inner) if self._matches(inner, lowered.match) else iter(())
        for _ in solutions:
            self.exited(inner, link)
            self.finish(inner)
            value = self.atom(inner, lowered.value)
            attempt.is_defined = True
            if attempt.value is not None:
                if value != attempt.value:
                    raise conflict("function" if attempt.args else "complete", link.location)
                self.tell(Op.REDO, inner, link)
                continue
            attempt.value = attempt.scope.cache[attempt.key] = value
            try:
                yield value
            except EarlyExit as reason:
                attempt.reason = reason
                if attempt.found.early_exit:
                    leave(solutions, reason)
                    raise
            else:
                self.tell(Op.REDO, inner, link)

    def _matches(self, frame: Frame, steps: tuple[Any, ...]) -> bool:
        """Tell whether what is given of a head fits its patterns."""
        return all(self.step(frame, step) is True for step in steps)

    # Sets and objects

    def collection(self, frame: Frame, scope: Scope, path: Path, keys: tuple[Value, ...]) -> Value | None:
        if (replaced := _replacement(scope, path)) is not MISSING:
            return at(replaced, keys)
        group = self._groups[path]
        found = self._candidates(frame, scope, group)
        for known in ((path, ()), (path, keys)):
            if known in scope.cache:
                return at(scope.cache[known], keys)
        whole = self._collected(frame, scope, group, found, keys)
        result = at(whole, keys)
        if result is not None:
            scope.cache[path, keys] = whole
        return result

    def _collected(self, frame: Frame, scope: Scope, group: Group, found: Found, keys: tuple[Value, ...]) -> Value:
        """Return what the candidates make; with keys, at least what they make there."""
        target: Any = set() if group.kind is Kind.SET else EXPORTED["Branch"]()
        for place, is_set in dict.fromkeys(group.places()) if group.kind is Kind.OBJECT else ():
            reserve(target, place, is_set)
        for chain in found.chains:
            for link in chain:
                if self._contributed(frame, scope, link, keys, target):
                    break
        for link in self._rules.key_defaults(group) if group.kind is Kind.OBJECT else ():
            if _peek(target, constants(link.keys)) is None:
                self._contributed(frame, scope, link, keys, target)
        return Set(target) if group.kind is Kind.SET else grown(target)

    def _contributed(self, frame: Frame, scope: Scope, link: Definition, keys: tuple[Value, ...], target: Any) -> bool:
        """Add what one definition makes; tell whether it held."""
        given = min(len(keys), len(link.keys))
        lowered = link.lowered(given)
        values = {f"key{index}": key for index, key in enumerate(keys[:given])}
        inner = self.frame(lowered.body, frame, values, {"c": scope})
        self.tell(Op.ENTER, inner, link)
        if not self._matches(inner, lowered.match):
            self.tell(Op.FAIL, inner, link)
            return False
        held = False
        for _ in self.solve(inner):
            held = True
            self.exited(inner, link)
            self.finish(inner)
            made = self._add(target, link, self.atoms(inner, lowered.keys), self.atom(inner, lowered.value))
            self.tell(Op.REDO if made or not keys else Op.DUPLICATE, inner, link)
        return held

    def _add(self, target: Any, link: Definition, keys: tuple[Value, ...], value: Value) -> bool:
        """Add what a definition has found; tell whether it was not there."""
        if isinstance(target, set):
            is_new = keys[0] not in target
            target.add(keys[0])
            return is_new
        is_new = _peek(target, keys) is None
        path, leaf = (keys[:-1], keys[-1]) if link.is_member else (keys, value)
        plant(target, path, leaf, link.is_member, link.location)
        return is_new

    # Documents

    def document(self, frame: Frame, scope: Scope, path: Path) -> Value | None:
        node = self._rules.planned.program.root.find(path[1:])
        assert node is not None
        return self._document(frame, scope, node)

    def _document(self, frame: Frame, scope: Scope, node: Node) -> Value | None:
        if (replaced := _replacement(scope, node.path)) is not MISSING:
            return cast("Value | None", replaced)
        if node.group is not None:
            return self._member(frame, scope, node.group)
        base = get_data(scope.context.data, node.path[1:])
        result = dict(base) if isinstance(base, Object) else {}
        for name in sorted(node.children):
            value = self._document(frame, scope, node.children[name])
            if value is not None:
                result[name] = overlaid(value, result[name]) if name in result else value
        return Object(result)

    def below(self, scope: Scope, path: Path) -> Iterable[Value]:
        node = self._rules.planned.program.root.find(path[1:])
        assert node is not None
        base = get_data(scope.context.data, path[1:])
        return dict.fromkeys([*(base.ordered() if isinstance(base, Object) else ()), *sorted(node.children)])

    def base(self, scope: Scope, path: tuple[Value, ...]) -> tuple[bool, Value | None]:
        names = tuple(name for name in path if isinstance(name, str))
        if (replaced := _replacement(scope, names)) is not MISSING:
            return True, replaced
        is_base = len(names) < len(path) or self._rules.planned.program.root.find(names[1:]) is None
        return is_base, get_data(scope.context.data, path[1:]) if is_base else None

    def _member(self, frame: Frame, scope: Scope, group: Group) -> Value | None:
        if group.kind is Kind.FUNCTION:
            self.tell(Op.INDEX, frame, frame.stage, self._rules.index(group).all().message, group.path)
            return None
        if group.kind is not Kind.COMPLETE:
            return self.collection(frame, scope, group.path, ())
        values = list(self.complete(frame, scope, group.path))
        return values[0] if values else None


def _peek(target: Any, keys: tuple[Value, ...]) -> Any:
    """Return what is there already of an object under construction."""
    for key in keys:
        target = target.get(key) if isinstance(target, dict) else key if isinstance(target, set) and key in target else None
    return target


def _replacement(scope: Scope, path: Path) -> Any:
    """Return what a `with` puts at a path of `data`, MISSING if none does."""
    return overridden(scope.context, path)
