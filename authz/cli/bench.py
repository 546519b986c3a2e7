"""Benchmarks of tests: how long one evaluation takes, measured and written as Go's benchmarks are. Knows no tests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

TARGET_NS: Final = 1_000_000_000
"""How long a benchmark takes, about."""

_MOST_AT_ONCE: Final = 100  # times as many evaluations as the round before had, at most
_MARGIN: Final = 1.2  # rather too many evaluations than another round
_WIDTH: Final = 10  # columns before the decimal point
_DIGITS: Final = ((999.95, 0), (99.995, 1), (9.9995, 2), (0.99995, 3), (0.099995, 4))
"""From which value on how many digits follow the decimal point: four significant ones."""

_TIMER: Final = "timer_rego_query_eval_ns/op"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How many evaluations took how long together."""

    count: int
    total_ns: int

    @property
    def ns_per_op(self) -> float:
        return self.total_ns / self.count

    def text(self, name: str) -> str:
        """Return the line that Go's tools read. Python counts no allocations, so none are shown."""
        return f"{name}\t{self.count:8d}\t{_number(self.ns_per_op)} ns/op\t{_number(self.ns_per_op)} {_TIMER}"

    def json(self) -> dict[str, Any]:
        return {"N": self.count, "T": self.total_ns, "Bytes": 0, "Extra": {_TIMER: self.ns_per_op}}


def measure(evaluate: Callable[[], object]) -> Benchmark:
    """Evaluate as often as it takes to last `TARGET_NS`."""
    count = 1
    while True:
        started = time.perf_counter_ns()
        for _ in range(count):
            evaluate()
        total_ns = max(1, time.perf_counter_ns() - started)
        if total_ns >= TARGET_NS:
            return Benchmark(count, total_ns)
        count = min(max(count + 1, int(_MARGIN * count * TARGET_NS / total_ns)), _MOST_AT_ONCE * count)


def go_name(test: str) -> str:
    """Return the name of a test as Go writes those of benchmarks: `data.a.test_x` is BenchmarkDataATestX."""
    return "Benchmark" + "".join(part[:1].upper() + part[1:] for part in re.split(r"[._]", test))


def _number(value: float) -> str:
    digits = next((digits for least, digits in _DIGITS if value >= least), _DIGITS[-1][1])
    return f"{value:{_WIDTH + (digits and digits + 1)}.{digits}f}"
