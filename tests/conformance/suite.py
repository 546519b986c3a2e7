"""The conformance cases: how one is run, judged and listed.

Owns the judging rules of the suite (sets of bindings, compared as JSON by value; exact error codes and texts).
Run as a module it rewrites the lists of cases that fail: `python -m tests.conformance.suite`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from authz import rego
from authz.rego import compiler, values
from authz.rego.observed.policy import compile_observed
from authz.rego.policy import current_time_ns
from authz.rego.terms import parse_value
from tests.shared import SHARED

HERE = Path(__file__).parent
VERSIONS = ("v1", "v0")
WAYS = ("tables", "plain", "observed")
"""How a case is evaluated: by the compiled code with and without tables, and by the evaluation that tells what it does."""


def categories(version: str) -> list[str]:
    """Return the names of the categories of a version; empty where the cases are not available."""
    return sorted(path.stem for path in (SHARED / "rego-conformance" / version).glob("*.json"))


def load(version: str, category: str) -> list[dict[str, Any]]:
    """Return the cases of a category, numbers with the text of their source."""
    path = SHARED / "rego-conformance" / version / f"{category}.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text(), parse_float=Decimal)["cases"]
    return cases


def known_failures(version: str) -> dict[str, str]:
    """Return the reason for every listed case, by `category/index note`."""
    lines = (HERE / f"failing-{version}.txt").read_text().splitlines()
    return dict(line.split(" | ", 1) for line in lines if line and not line.startswith("#"))


def name(category: str, index: int, case: dict[str, Any]) -> str:
    return f"{category}/{index} {case['note']}"


def fault(case: dict[str, Any], way: str) -> str | None:
    """Run a case in one of the WAYS; return why it fails, or None."""
    wants_error = "want_error_code" in case or "want_error" in case
    try:
        found = _observed(case) if way == "observed" else _decided(case, optimize=way == "tables")
    except rego.EvalError as error:
        return _error_fault(case, error) if wants_error else f"unexpected {error}"
    except rego.CompileError as error:
        return f"does not compile: {error.message}"
    if wants_error:
        return f"no error, but {found}"
    got = {canonical(_sorted(binding) if case.get("sort_bindings") else binding) for binding in found}
    want = {canonical(binding) for binding in case.get("want_result") or []}
    return None if got == want else f"got {found}, want {case.get('want_result')}"


def _modules(case: dict[str, Any]) -> dict[str, str]:
    return {f"test-{number}.rego": text for number, text in enumerate(case["modules"])}


def _decided(case: dict[str, Any], *, optimize: bool) -> list[dict[str, Any]]:
    policy = rego.compile(_modules(case), case.get("data"), rego_version=case["rego_version"], optimize=optimize)
    document = {key: case[key] for key in ("input", "input_term") if key in case}
    return policy.query(case["query"], strict_builtin_errors=case.get("strict_error", False), **document)


def _observed(case: dict[str, Any]) -> list[dict[str, Any]]:
    policy = compile_observed(compiler.make_source(_modules(case), case.get("data"), case["rego_version"], optimize=False))
    document = parse_value(case["input_term"]) if "input_term" in case else values.from_json(case["input"]) if "input" in case else None
    query = policy.prepare(policy.parse_query(case["query"]))
    context = query.context(document, current_time_ns(), case.get("strict_error", False))
    found = query.solutions(context, lambda _: None, with_variables=False)
    return [{name: values.to_json(value) for name, value in solution.items()} for solution in found]


def _error_fault(case: dict[str, Any], error: rego.EvalError) -> str | None:
    if error.code != case.get("want_error_code", error.code):
        return f"code {error.code}, want {case['want_error_code']}"
    return None if case.get("want_error", "") in str(error) else f"{error}, want {case['want_error']}"


def _sorted(binding: dict[str, Any]) -> dict[str, Any]:
    return {key: _top_sorted(value) for key, value in binding.items()}


def _top_sorted(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return values.to_json(tuple(values.sort_values([values.from_json(item) for item in value])))


def canonical(value: Any) -> Any:
    """Return a hashable stand-in by which JSON documents compare: 1 is 1.0 but never true."""
    if value is None or isinstance(value, bool):
        return "constant", value
    if isinstance(value, int | float | Decimal):
        return "number", Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if isinstance(value, str):
        return "string", value
    if isinstance(value, list):
        return "array", tuple(canonical(item) for item in value)
    return "object", frozenset((key, canonical(item)) for key, item in value.items())


def failures(version: str, category: str) -> Iterator[tuple[str, str]]:
    """Yield name and reason of every case of a category that fails in any of the ways."""
    for index, case in enumerate(load(version, category)):
        reasons = [reason for way in WAYS if (reason := fault(case, way)) is not None]
        if reasons:
            yield name(category, index, case), reasons[0]


def _reason(text: str) -> str:
    missing = "does not compile: undefined function "
    short = "not supported yet: built-in " + text.removeprefix(missing) if text.startswith(missing) else text
    return " ".join(short.split())[:160]


def main() -> None:
    """Write the lists of failing cases anew; a case that is listed already keeps its reason."""
    for version in VERSIONS:
        found = [item for category in categories(version) for item in failures(version, category)]
        known = known_failures(version)
        lines = [f"{case} | {known.get(case) or _reason(reason)}" for case, reason in found]
        (HERE / f"failing-{version}.txt").write_text("\n".join([f"# cases of {version} that do not pass, and why", *lines]) + "\n")
        print(f"{version}: {len(lines)} cases fail")


if __name__ == "__main__":
    main()
