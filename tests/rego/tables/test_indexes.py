"""Every index finds exactly what the built-in says that it stands for, for any value."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz import rego
from authz.rego import plan as p
from authz.rego.builtins.regex_syntax import PatternError
from authz.rego.tables.cells import Between, Cell, Contains, HasMember, InNetwork, Matches, OneOf, Prefix, Suffix
from authz.rego.tables.columns import InputColumn
from authz.rego.tables.conditions import holding
from authz.rego.tables.dimensions import Dimension, filing, kind_of
from authz.rego.tables.expressions import apply
from authz.rego.tables.grams import GramIndex
from authz.rego.tables.indexes import ClassIndex, PrefixIndex, RangeIndex
from authz.rego.tables.pattern_syntax import sequences
from authz.rego.tables.patterns import source_of
from authz.rego.tables.segments import glob_path, path_pattern
from authz.rego.values import TRUE, Value, from_json
from tests.rego.tables.policies import GLOBS, REGEXES

X = InputColumn(("x",))
ALPHABET = "ab/.\n"

texts = st.text(ALPHABET, max_size=7)
values = st.one_of(
    texts, texts, st.integers(-3, 12), st.decimals(-3, 12, places=1), st.sampled_from([True, False, None]), st.lists(texts, max_size=3)
)


def found(cells: list[Cell], value: Any) -> list[Cell]:
    """Return the cells that the index of their dimension finds for a value, as a table would, after a journey to another process."""
    kept = filing(Dimension(X, kind_of(cells[0])), cells)
    index = pickle.loads(pickle.dumps(kept.index))  # noqa: S301
    components = {value} if index is None else {index.classes.get(value, 0)} if isinstance(index, ClassIndex) else set(index.select(value))
    return [cell for cell in cells if components.intersection(kept.components(cell)[0])]


def agree(cells: list[Cell], value: Any, name: str, *operands: Any) -> None:
    """Check an index against a built-in; each operand is the constants of the cells, in order, or X for the value."""
    document = from_json(value)
    expected = [
        cell for place, cell in enumerate(cells) if apply(name, [document if item is X else item[place] for item in operands]) is TRUE
    ]
    assert found(cells, document) == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=10, unique=True), values)
def test_prefixes(prefixes: list[str], value: Any) -> None:
    agree([Prefix(X, (prefix,)) for prefix in prefixes], value, "startswith", X, prefixes)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=10, unique=True), values)
def test_suffixes(suffixes: list[str], value: Any) -> None:
    agree([Suffix(X, (suffix,)) for suffix in suffixes], value, "endswith", X, suffixes)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=5), values)
def test_one_of_several_prefixes_or_suffixes_of_one_or_several_texts(groups: list[list[str]], value: Any) -> None:
    unique = list(dict.fromkeys(map(tuple, groups)))
    agree([Prefix(X, group, many=True) for group in unique], value, "strings.any_prefix_match", X, unique)
    agree([Suffix(X, group, many=True) for group in unique], value, "strings.any_suffix_match", X, unique)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=9), min_size=1, max_size=10, unique=True), st.one_of(values, st.text(ALPHABET, max_size=40)))
def test_texts_within_texts(parts: list[str], value: Any) -> None:
    agree([Contains(X, part) for part in parts], value, "contains", X, parts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab", min_size=1, max_size=8), min_size=1, max_size=12), st.text("ab", max_size=30))
def test_grams_find_each_literal_once(literals: list[str], value: str) -> None:
    assert sorted(GramIndex(literals).select(value)) == sorted({text for text in literals if text in value})


@settings(max_examples=400, deadline=None)
@given(
    st.lists(values, min_size=1, max_size=6),
    st.lists(values, min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=12, max_size=12),
    values,
)
def test_ranges_of_values_of_all_types(lows: list[Any], highs: list[Any], closed: list[bool], value: Any) -> None:
    cells: list[Cell] = []
    document = from_json(value)
    expected: list[Cell] = []
    for place, low in enumerate(lows):
        bounds = from_json(low), from_json(highs[place])
        ends = closed[place], closed[place + 6]
        cell = Between(X, bounds[0], bounds[1], ends)
        if cell in cells or apply("gt", list(bounds)) is TRUE or (bounds[0] == bounds[1] and ends != (True, True)):
            continue
        cells.append(cell)
        holds = (apply("gte" if ends[0] else "gt", [document, bounds[0]]), apply("lte" if ends[1] else "lt", [document, bounds[1]]))
        expected += [cell] if holds == (TRUE, TRUE) else []
    if cells:
        assert found(cells, document) == expected
        assert found(cells, None) == []


def test_many_open_ranges_take_a_logarithm_of_places_each() -> None:
    index = RangeIndex((number, None, (False, False)) for number in range(1000))
    assert max(len(index.components((number, None, (False, False)))) for number in range(1000)) <= 24
    assert len(index.select(999)) <= 24
    assert index.select(-1) == ()


networks = st.builds("{}.{}.{}.{}/{}".format, *[st.sampled_from([0, 1, 10, 255])] * 4, st.integers(0, 32))
addresses = st.one_of(
    st.builds("{}.{}.{}.{}".format, *[st.sampled_from([0, 1, 10, 255])] * 4),
    networks,
    st.sampled_from(["::1", "fd00::1", "::ffff:10.0.0.1", "10.0.0", "fd00::/16"]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(networks, st.sampled_from(["fd00::/8", "::/0", "fd00::/16"])), min_size=1, max_size=8, unique=True),
    st.one_of(addresses, values),
)
def test_networks(cidrs: list[str], value: Any) -> None:
    agree([InNetwork(X, cidr) for cidr in cidrs], value, "net.cidr_contains", cidrs, X)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", 1, 1.0, True, None]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", 1, 2, True]), max_size=4),
)
def test_members(wanted: list[Any], value: list[Any]) -> None:
    members = list(dict.fromkeys(map(from_json, wanted)))
    for collection in (value, {str(place): item for place, item in enumerate(value)}):
        agree([HasMember(X, (member,)) for member in members], collection, "internal.member_2", members, X)
    agree([HasMember(X, (member,)) for member in members], "a", "internal.member_2", members, X)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["a", "b", 1, True]), max_size=3, unique_by=repr), st.booleans(), st.booleans()), min_size=1
    ),
    st.sampled_from(["a", 1, "z", None]),
)
def test_values_and_their_absence(tests: list[tuple[list[Any], bool, bool]], value: Any) -> None:
    for others in (False, True):
        cells: list[Cell] = [
            OneOf(X, tuple(map(from_json, listed)), others, absent) for listed, is_other, absent in tests if is_other is others
        ]
        cells = list(dict.fromkeys(cell for cell in cells if isinstance(cell, OneOf) and (cell.values or cell.others or cell.absent)))
        if not cells:
            continue
        document: Value | None = None if value is None else from_json(value)
        expected = [cell for cell in cells if isinstance(cell, OneOf) and (cell.absent if document is None else cell.accepts(document))]
        assert found(cells, document) == expected


# Patterns

PATHS = (
    "",
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/",
    "/a/b/c",
    "/a//c",
    "/b",
    "/a/1",
    "a/b",
    "x.a.b",
    "x..b",
    "a\n",
    "/a/b\n",
    "/a/\n",
    "é",
    "/a/é",
    "ab",
    "/a/bc",
)

pieces = st.sampled_from(["*", "**", "?", "a", "b", "/", "/", ".", "[ab]", "[!a]", "{a,b}", "{/a,b*}", "\\*", "é"])
globs = st.one_of(st.sampled_from(GLOBS), st.lists(pieces, max_size=6).map("".join))
atoms = st.sampled_from(["a", "b", "/", "/", "\\.", ".", "[a-z]", "[^/]", "\\d", "(a|b)", "(?:/a)", "\\/", "é", "[/b]"])
regexes = st.one_of(
    st.sampled_from(REGEXES),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["^", "", "\\A"]),
        st.lists(st.builds("{}{}".format, atoms, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "*?"])), max_size=5).map("".join),
        st.sampled_from(["$", "", ".*", ".*$", "\\z", ".+"]),
    ),
)
paths = st.one_of(st.sampled_from(PATHS), st.text("ab/.é\n", max_size=7))


def is_pattern(name: str, operands: list[Any]) -> bool:
    """Tell whether a condition with these operands becomes a cell: the pattern is one."""
    return bool(holding(name, [p.Const(item) if item is not X else X for item in operands]))


@settings(max_examples=600, deadline=None)
@given(st.lists(globs, min_size=1, max_size=5, unique=True), st.sampled_from(["/", ".", "", "/.", "."]), paths)
def test_globs(patterns: list[str], delimiters: str, path: str) -> None:
    listed = tuple(delimiters)
    shown: Value = rego.NULL if not delimiters else listed
    kept = [pattern for pattern in patterns if is_pattern("glob.match", [pattern, shown, X])]
    if kept:
        agree([Matches(X, pattern, delimiters) for pattern in kept], path, "glob.match", kept, [shown] * len(kept), X)


@settings(max_examples=600, deadline=None)
@given(st.lists(regexes, min_size=1, max_size=5, unique=True), paths)
def test_regular_expressions(patterns: list[str], path: str) -> None:
    kept = [pattern for pattern in patterns if is_pattern("regex.match", [pattern, X])]
    if kept:
        agree([Matches(X, pattern, None) for pattern in kept], path, "regex.match", kept, X)


def test_a_value_that_is_no_string_matches_no_pattern() -> None:
    for value in (1, True, None, (), rego.Object()):
        assert found([Matches(X, "**", "/")], value) == []
        assert found([Matches(X, ".*", None)], value) == []


def test_half_a_surrogate_pair_is_the_replacement_character_to_patterns_as_it_is_to_the_engine() -> None:
    agree([Matches(X, "/?/*", "/")], "/\ud801/x", "glob.match", ["/?/*"], [("/",)], X)
    agree([Matches(X, "^/\ufffd$", None)], "/\ud801", "regex.match", ["^/\ufffd$"], X)


def test_patterns_without_a_common_form_are_tried_in_groups() -> None:
    patterns = [f"(?i)^x{number}.*[0-9]y$" for number in range(100)]
    cells: list[Cell] = [Matches(X, pattern, None) for pattern in patterns]
    assert found(cells, "X7..5Y") == [cells[7]]
    assert found(cells, "z") == []


def test_a_pattern_that_is_none_is_never_matched() -> None:
    for name, operands in (("glob.match", ["[a", ("/",), X]), ("regex.match", ["(", X]), ("net.cidr_contains", ["1.2.3.4", X])):
        assert holding(name, [item if item is X else p.Const(item) for item in operands]) == []  # type: ignore[arg-type]
    with pytest.raises(PatternError):
        filing(Dimension(X, ("regex", "")), [Matches(X, "(", None)])


def test_the_shortest_of_many_nested_prefixes_is_found_at_once() -> None:
    index = PrefixIndex(["a" * size for size in range(1, 50)], many=False)
    assert index.select("a" * 10 + "b") == tuple("a" * size for size in range(10, 0, -1))
    assert index.select("b") == ()


@given(st.text(alphabet="ab*/.é", max_size=12), st.sampled_from(["/", ".", "*"]))
def test_a_plain_glob_is_the_path_that_its_regular_expression_is(pattern: str, delimiter: str) -> None:
    found = glob_path(pattern, delimiter)
    if found is not None:
        assert [found] == [path_pattern(parts, delimiter) for parts in sequences(source_of(pattern, delimiter))]


@pytest.mark.parametrize("pattern", ["", "/", "/v1/users/7", "/v1/*/orders", "*", "**", "/v1/**", "/v1/us**", "/*/*/", "é/*"])
def test_plain_globs_take_the_shortcut(pattern: str) -> None:
    assert glob_path(pattern, "/") is not None


@pytest.mark.parametrize("pattern", ["/a*/b", "/**/b", "/v1/{a,b}", "/[ab]", "/a?", "\\*", "/***", "/*a**", "\ud800/*"])
def test_other_globs_do_not(pattern: str) -> None:
    assert glob_path(pattern, "/") is None
