"""Which rules OPA looks at: those that its rule index does not exclude, in the order of its trie.

Owns how OPA looks up what `facts` says of bodies (OPA docs, policy performance: rule indexing). Ours indexes differently and far
more, which is none of this module's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from authz.rego import nodes
from authz.rego.nodes import Scalar, Term, Var
from authz.rego.observed.facts import ANY, Facts, Place, is_constant, split
from authz.rego.observed.plans import Definition
from authz.rego.program import Node
from authz.rego.values import Object, Set, Value

Resolve = Callable[[Place], Value | None]


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of a lookup, each with those of its `else` chain that are candidates too."""

    chains: tuple[tuple[Definition, ...], ...]
    early_exit: bool

    @property
    def message(self) -> str:
        size = len(self.chains)
        return f"(matched {size} rule{'' if size == 1 else 's'}{', early exit' if self.early_exit else ''})"


class RuleIndex:
    """The index of one group's definitions; `root` is the tree that tells rules from base data."""

    def __init__(self, definitions: Iterable[Definition], root: Node) -> None:
        chains = [tuple(definition.chain()) for definition in definitions]
        facts = {id(link): Facts(link, root) for chain in chains for link in chain}
        frequency: dict[Place, int] = {}
        for fact in facts.values():
            for place in fact.inserted:
                frequency[place] = frequency.get(place, 0) + 1
        places = sorted(frequency, key=lambda place: -frequency[place])
        self.root = _Node()
        for number, chain in enumerate(chains):
            for priority, link in enumerate(chain):
                self._insert(facts[id(link)], places, (number, priority, link))

    def _insert(self, facts: Facts, places: list[Place], rule: _Rule) -> None:
        node = self.root
        for place in places if facts.entries else ():
            entries = [entry for entry in facts.entries if entry.place == place]
            if len(entries) > 1 and not any(isinstance(entry.term, Var) for entry in entries):
                for entry in entries:
                    node.insert(place, entry.term, entry.delimiters).rules.append(rule)
                return
            term = None if not entries else entries[0].term if len(entries) == 1 else ANY
            node = node.insert(place, term, "" if not entries else entries[0].delimiters)
        node.rules.append(rule)

    def lookup(self, resolve: Resolve) -> Found:
        """Return the candidates for what the references are now."""
        return _found(self.root.reached(resolve))

    def all(self) -> Found:
        """Return every rule, as a lookup without an index does."""
        return _found(self.root.everything())


_Rule = tuple[int, int, Definition]


def _found(rules: Iterable[_Rule]) -> Found:
    chains: dict[int, dict[int, Definition]] = {}
    for number, priority, definition in rules:
        chains.setdefault(number, {})[priority] = definition
    links = tuple(tuple(chain[priority] for priority in sorted(chain)) for chain in chains.values())
    return Found(links, _is_constant_everywhere([link for chain in links for link in chain]))


def _is_constant_everywhere(definitions: list[Definition]) -> bool:
    """Tell whether all are complete rules or functions with the same constant value, so that the first one settles it."""
    values = [definition.value for definition in definitions]
    if any(definition.keys or definition.is_keyed for definition in definitions):
        return False
    return all(value is not None and is_constant(value) and value == values[0] for value in values)


class _Node:
    """A node of the trie: rules that are candidates where it is reached, and what is looked at next."""

    def __init__(self) -> None:
        self.rules: list[_Rule] = []
        self.following: _Node | None = None
        self.place: Place = ("", ())
        self.delimiters: list[str] = []
        self.anything: _Node | None = None
        self.nothing: _Node | None = None
        self.scalars: dict[Value, _Node] = {}
        self.array: _Node | None = None

    def insert(self, place: Place, term: Term | None, delimiters: str) -> _Node:
        """Return the node behind a place that equals `term`; None says nothing of it."""
        if self.following is None:
            self.following = _Node()
            self.following.place = place
        if delimiters and delimiters not in self.following.delimiters:
            self.following.delimiters.append(delimiters)
        if term is None:
            self.following.nothing = self.following.nothing or _Node()
            return self.following.nothing
        if isinstance(term, nodes.Array):
            self.following.array = self.following.array or _Node()
            node = self.following.array
            for item in term.items:
                node = node._child(item)
            return node
        return self.following._child(term)

    def _child(self, term: Term) -> _Node:
        if isinstance(term, Scalar):
            return self.scalars.setdefault(term.value, _Node())
        self.anything = self.anything or _Node()
        return self.anything

    def everything(self) -> Iterator[_Rule]:
        yield from self.rules
        for node in (self.anything, self.nothing, *self.scalars.values(), self.array, self.following):
            if node is not None:
                yield from node.everything()

    def reached(self, resolve: Resolve) -> Iterator[_Rule]:
        yield from self.rules
        if self.following is not None:
            yield from self.following._looked_up(resolve)

    def _looked_up(self, resolve: Resolve) -> Iterator[_Rule]:
        value = resolve(self.place)
        if self.nothing is not None:
            yield from self.nothing.reached(resolve)
        if value is None:
            return
        if self.anything is not None:
            yield from self.anything.reached(resolve)
        yield from self._equal(value, resolve)
        if isinstance(value, str):
            for delimiters in self.delimiters:
                yield from self._equal(tuple(split(value, delimiters)), resolve)

    def _equal(self, value: Value, resolve: Resolve) -> Iterator[_Rule]:
        """Yield the rules for a value; a collection is also looked up by its members, for `"x" in ref`."""
        if isinstance(value, tuple) and self.array is not None:
            yield from self.array._items(value, resolve)
        if not isinstance(value, tuple | Set | Object):
            if value in self.scalars:
                yield from self.scalars[value].reached(resolve)
            return
        for item in _values(value):
            if not isinstance(item, tuple | Set | Object) and item in self.scalars:
                yield from self.scalars[item].reached(resolve)

    def _items(self, items: tuple[Value, ...], resolve: Resolve) -> Iterator[_Rule]:
        if not items:
            yield from self.reached(resolve)
            return
        if self.anything is not None:
            yield from self.anything._items(items[1:], resolve)
        if not isinstance(items[0], tuple | Set | Object) and items[0] in self.scalars:
            yield from self.scalars[items[0]]._items(items[1:], resolve)


def _values(collection: Value) -> Iterable[Value]:
    if isinstance(collection, Object):
        return [collection[key] for key in collection.ordered()]
    return collection.ordered() if isinstance(collection, Set) else collection if isinstance(collection, tuple) else ()
