"""Trees find the rows whose cells all hold, and the text of a test says what its cell does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from authz import rego
from authz.rego import plan as p
from authz.rego.conditioncode import ConditionWriter, starts_of
from authz.rego.runtime import EXPORTED
from authz.rego.tables.cells import Between, Cell, Contains, HasMember, InNetwork, Matches, OneOf, Prefix, Suffix, unfolded
from authz.rego.tables.columns import CallColumn, InputColumn
from authz.rego.tables.trees import MAX_CELLS, MAX_ROWS, Ends, Found, Left, Node, OneByOne, Step, Switch, TreeMaker
from authz.rego.tables.verdicts import Verdicts, holds
from authz.rego.values import TRUE, Object, Set, Value, from_json
from tests.rego.tables.policies import GLOBS, REGEXES, TEXTS

COLUMNS = tuple(InputColumn((name,)) for name in "xyz")

texts = st.sampled_from(TEXTS)
scalars = st.one_of(texts, texts, st.integers(-2, 4), st.decimals(-2, 4, places=1), st.sampled_from([True, False, None])).map(from_json)
values = st.one_of(
    scalars,
    scalars,
    st.lists(scalars, max_size=3).map(tuple),
    st.lists(scalars, max_size=3).map(Set),
    st.dictionaries(texts, scalars, max_size=2).map(Object),
)
columns = st.sampled_from(COLUMNS)
several = st.lists(texts, min_size=1, max_size=5, unique=True).map(tuple)
cells: st.SearchStrategy[Cell] = st.one_of(
    st.builds(OneOf, columns, st.lists(values, min_size=1, max_size=5, unique=True).map(tuple), st.booleans(), st.booleans()),
    st.builds(OneOf, columns, scalars.map(lambda value: (value,)), st.just(False), st.just(False)),
    st.builds(Prefix, columns, several, st.booleans()),
    st.builds(Suffix, columns, several, st.booleans()),
    st.builds(Contains, columns, texts),
    st.builds(Matches, columns, st.sampled_from(GLOBS), st.sampled_from(("", "/", "./"))),
    st.builds(Matches, columns, st.sampled_from([pattern for pattern in REGEXES if "\\" not in pattern]), st.none()),
    st.builds(Between, columns, st.none() | scalars, scalars, st.tuples(st.booleans(), st.booleans())),
    st.builds(InNetwork, columns, st.sampled_from(("10.0.0.0/8", "10.0.1.0/24", "fd00::/8"))),
    st.builds(HasMember, columns, st.lists(scalars, min_size=1, max_size=5, unique=True).map(tuple)),
)


class Names:
    """Names for what a text refers to."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = dict(EXPORTED)

    def name(self, content: Any) -> str:
        name = f"N{len(self.known)}"
        self.known[name] = content
        return name

    def true(self, text: str, value: Value | None) -> bool:
        return bool(eval(text, self.known | {"x": value}))  # noqa: S307 - what generated code would do


@settings(max_examples=1500, deadline=None)
@given(cells, st.none() | values)
def test_the_text_of_a_test_says_what_its_cell_does(cell: Cell, value: Value | None) -> None:
    names = Names()
    text = ConditionWriter(names.name, names.name).condition(cell, "x")
    assert names.true(text, value) is holds(cell, value), text


@settings(max_examples=300, deadline=None)
@given(st.lists(cells, min_size=1, max_size=4), st.none() | values)
def test_what_holds_for_a_text_starts_as_the_guard_of_several_says(several: list[Cell], value: Value | None) -> None:
    starts = starts_of(several)
    if starts is not None and any(holds(cell, value) for cell in several):
        names = Names()
        assert names.true(ConditionWriter(names.name, names.name).starts_with_any(starts, "x"), value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(("startswith", "endswith", "contains")), texts, st.booleans(), st.none() | values)
def test_a_test_of_a_built_in_is_one_of_what_it_is_called_with(name: str, text: str, others: bool, value: Value | None) -> None:
    folded = OneOf(CallColumn(name, (COLUMNS[0], p.Const(text))), (TRUE,), others, others)
    plain, is_same = unfolded(folded)
    assert plain.column == COLUMNS[0]
    document = Object() if value is None else Object({"x": value})
    assert Verdicts(document).of(folded).holds is (holds(plain, value) is is_same)


def holds_in(cell: Cell, document: Object) -> bool:
    assert isinstance(cell.column, InputColumn)
    return holds(cell, document.get(cell.column.path[0]))


def ended(node: Node, document: Object) -> Iterator[int]:
    for step in node:
        if isinstance(step, Ends):
            yield from (row.number for row in step.rows)
        else:
            for branch in taken(step, document):
                yield from ended(branch, document)


def taken(step: Step, document: Object) -> list[Node]:
    if isinstance(step, Switch):
        place = step.places.get(document.get(step.column.path[0]))  # type: ignore[union-attr]
        return [] if place is None else [step.branches[place]]
    if isinstance(step, Found):
        value = document.get(step.filing.dimension.column.path[0])  # type: ignore[union-attr]
        return [step.branches[step.places[component]] for component in step.filing.index.select(value)]  # type: ignore[union-attr]
    assert not isinstance(step, Ends)
    return [branch for cell, branch in step.branches if holds_in(cell, document)]


def size_of(node: Node) -> int:
    """Return how many places of the text a row is found at."""
    total = 0
    for step in node:
        match step:
            case Ends(rows):
                total += len(rows)
            case OneByOne(_, branches):
                total += sum(size_of(branch) for _, branch in branches)
            case Switch() | Found():
                total += sum(map(size_of, step.branches))
    return total


def tree_of(rows: Sequence[tuple[Cell, ...]], *, repeats: bool = True) -> Node:
    return TreeMaker(rows, repeats=repeats).node([Left(number, number, row) for number, row in enumerate(rows)])


rows_of_cells = st.lists(st.lists(cells, max_size=3, unique=True).map(tuple), min_size=1, max_size=20)
documents = st.dictionaries(st.sampled_from("xyz"), values).map(Object)


@settings(max_examples=600, deadline=None)
@given(rows_of_cells, st.lists(documents, min_size=1, max_size=5), st.booleans())
def test_a_tree_finds_the_rows_whose_cells_all_hold(rows: list[tuple[Cell, ...]], asked: list[Object], repeats: bool) -> None:
    tree = tree_of(rows, repeats=repeats)
    for document in asked:
        expected = [number for number, row in enumerate(rows) if all(holds_in(cell, document) for cell in row)]
        found = list(ended(tree, document))
        assert sorted(set(found)) == expected
        assert repeats or len(found) == len(set(found))


def test_a_tree_is_no_larger_than_two_tables_however_much_its_rows_overlap() -> None:
    lists = [tuple(str((number * 7 + place) % 13) for place in range(5)) for number in range(MAX_ROWS)]
    rows = [
        tuple(OneOf(column, lists[(number * 3 + place) % MAX_ROWS], False, False) for place, column in enumerate(COLUMNS))
        for number in range(MAX_ROWS)
    ]
    assert MAX_ROWS <= size_of(tree_of(rows)) <= 2 * MAX_ROWS


def test_rows_of_as_many_tests_as_a_tree_takes_can_be_written() -> None:
    globs = ("/a/*", "/b/*", "/c/*", "/d/*", "/e/*")
    bodies = [
        "; ".join(f'glob.match("{globs[(number + place) % 5]}", ["/"], input.x{place})' for place in range(MAX_CELLS))
        for number in range(MAX_ROWS - 1)
    ]
    text = "package t\n" + "\n".join(f"allow if {{ {body} }}" for body in [*bodies, 'input.y == "z"'])
    allow = rego.compile({"p.rego": text}).entrypoint("t/allow")
    assert allow.decide({f"x{place}": f"{globs[(3 + place) % 5][:-1]}1" for place in range(MAX_CELLS)}) is True
    assert allow.decide({f"x{place}": "/a/1" for place in range(MAX_CELLS)}) is rego.UNDEFINED
    assert allow.decide({"y": "z"}) is True
