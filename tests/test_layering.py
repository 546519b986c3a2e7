"""The structure that docs/architecture.md promises, checked on the syntax trees of the modules themselves."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((REPOSITORY / "authz").rglob("*.py"))
}
TREES: Final = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}

DECIDING: Final = ("errors", "rego", "testing", "identity", "bundle", "extauthz", "pdp")
WAITING: Final = (
    "telemetry",
    "regular_files",
    "outbound",
    "watcher",
    "services",
    "refresh",
    "publish",
    "control_plane",
    "server",
    "config",
    "decider",
    "workers",
    "app",
    "cli",
)
FORBIDDEN_TO_DECIDING: Final = frozenset(
    {"asyncio", "socket", "time", "logging", "threading", "subprocess", "uvloop", "aiohttp", "grpc", "ngh2"}
)

# What each row of the deciding half may import besides itself; the waiting half may import every row above.
MAY_IMPORT: Final[dict[str, frozenset[str]]] = (
    {
        "": frozenset(),  # authz/__init__.py
        "errors": frozenset(),
        "rego": frozenset({"errors"}),
        "testing": frozenset({"errors", "rego"}),
        "identity": frozenset({"errors"}),
        "bundle": frozenset({"errors", "rego"}),
        "extauthz": frozenset({"errors", "rego", "identity"}),
        "pdp": frozenset({"errors", "rego", "identity", "bundle", "extauthz"}),
    }
    | {row: frozenset(DECIDING) | frozenset(WAITING[:position]) | {""} for position, row in enumerate(WAITING)}
)

MAX_FUNCTION_LINES: Final = 50
MAX_MODULE_LINES: Final = 400


def row_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(module: str) -> Iterator[str]:
    """Yield every module that a module imports, wherever in it; ours by the name of their file's module."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            base = node.module or ""
            yield from (f"{base}.{alias.name}" if f"{base}.{alias.name}" in SOURCES else base for alias in node.names)


def ours(module: str) -> set[str]:
    return {name for name in imported(module) if name.split(".")[0] == "authz"}


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_only_its_own_row_and_the_rows_it_may(module: str) -> None:
    row = row_of(module)
    assert {name for name in ours(module) if row_of(name) not in MAY_IMPORT[row] | {row}} == set()


@pytest.mark.parametrize("module", [name for name in SOURCES if row_of(name) in DECIDING])
def test_what_decides_waits_for_nothing_and_reads_no_clock(module: str) -> None:
    assert {name.split(".")[0] for name in imported(module)} & FORBIDDEN_TO_DECIDING == set()


def test_only_tests_of_policies_and_commands_observe_evaluations() -> None:
    observed = "authz.rego.observed"
    users = {module for module in SOURCES if any(f"{name}.".startswith(f"{observed}.") for name in imported(module))}
    assert {row_of(module) for module in users if not f"{module}.".startswith(f"{observed}.")} == {"testing", "cli"}


def test_one_module_of_the_server_knows_the_http2_library() -> None:
    users = [module for module in SOURCES if any(name.split(".")[0] == "ngh2" for name in imported(module))]
    assert len(users) == 1
    assert row_of(users[0]) == "server"


def test_the_modules_import_each_other_without_cycles() -> None:
    graph = {module: ours(module) - {module} for module in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_envoy_at_the_top_is_configuration_and_never_a_package() -> None:
    assert list((REPOSITORY / "envoy").rglob("*.py")) == []


@pytest.mark.parametrize("module", SOURCES)
def test_no_function_is_longer_than_fifty_lines_of_code(module: str) -> None:
    lines = code_lines(SOURCES[module].read_text())
    too_long = {}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            size = len(lines & set(range(node.lineno, node.end_lineno + 1)))
            if size > MAX_FUNCTION_LINES:
                too_long[node.name] = size
    assert too_long == {}


@pytest.mark.parametrize("module", SOURCES)
def test_no_module_is_longer_than_four_hundred_lines(module: str) -> None:
    assert SOURCES[module].read_text().count("\n") <= MAX_MODULE_LINES


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(TREES[module])


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold code: no blank, no comment, no docstring."""
    numbers: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            numbers.update(range(token.start[0], token.end[0] + 1))
    return numbers - docstring_lines(source)


def docstring_lines(source: str) -> set[int]:
    numbers: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            numbers.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    return numbers
