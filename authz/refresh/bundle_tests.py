"""The tests in policy bundles, run before the bundles decide. Imported where they are asked for only: it takes a compile's start longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authz.bundle.directory import PolicySource
from authz.errors import ErrorCode
from authz.refresh.messages import Failed
from authz.rego.errors import CompileError
from authz.testing import Outcome, Result, compile_suite

SHOWN_TESTS: Final = 5


def run_tests(source: PolicySource, rego_version: int, now_ns: int) -> Failed | None:
    """Run the tests among the modules; return what is wrong with them: one fails, they do not compile, or there are none."""
    try:
        suite = compile_suite(source.modules, source.data, source.versions(rego_version))
    except CompileError as error:
        return Failed(ErrorCode.POLICY_TESTS, str(error), is_final=True)
    if not suite.tests:
        advice = "put `*_test.rego` files into the bundle, or leave out `require_tests`"
        return Failed(ErrorCode.POLICY_TESTS, "the bundles have no tests, and `require_tests` asks for some", advice, is_final=True)
    results = [suite.run(test, now_ns) for test in suite.tests]
    bad = [result for result in results if result.outcome not in (Outcome.PASS, Outcome.SKIPPED)]
    return Failed(ErrorCode.POLICY_TESTS, _told(bad, len(results)), is_final=True) if bad else None


def _told(bad: Sequence[Result], count: int) -> str:
    lines = [f"{len(bad)} of {count} tests of the bundles failed"]
    for result in bad[:SHOWN_TESTS]:
        test = result.test
        reason = result.error or result.detail or ", ".join(case.name for case in result.cases if not case.has_passed) or result.outcome
        lines.append(f"{test.location.file}:{test.location.row}: {test.full_name}: {reason}")
    return "\n  ".join(lines)
