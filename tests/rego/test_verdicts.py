"""What compiles and what does not, and in which words: OPA's verdicts on hundreds of small modules (`verdicts.txt`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz import rego

LINES = Path(__file__).with_name("verdicts.txt").read_text(encoding="utf-8").splitlines()
CASES = [line.split(" | ", 1) for line in LINES if line and not line.startswith("#")]


def verdict(source: str, version: int) -> str:
    """Return `accepted`, the code of a parse error, or the codes and messages of all findings, each once."""
    try:
        rego.compile({"p.rego": f"package t\n{source}"}, rego_version=version)
    except rego.CompileError as error:
        if error.code == "rego_parse_error":
            return error.code
        return " + ".join(sorted({f"{item.code}: {item.message}" for item in error.diagnostics}))
    return "accepted"


def test_there_are_many_of_each() -> None:
    assert len(CASES) > 500
    for part in ("accepted", "parse_error", "compile_error", "unsafe_var_error", "type_error", "recursion_error"):
        assert sum(case[1].endswith(part) or f"{part}:" in case[1] for case in CASES) > 10, part


@pytest.mark.parametrize(("version", "case"), CASES, ids=[" ".join(case) for case in CASES])
def test_a_module_is_judged_as_opa_judges_it(version: str, case: str) -> None:
    source, expected = case.rsplit(" | ", 1)
    source = source.replace("\\n", "\n").replace("\\\\", "\\")
    assert verdict(source, int(version[1])).replace("\n", "\\n") == expected
