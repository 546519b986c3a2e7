"""`python -m bench.demo`: everything that the README promises, on this machine, within a minute.

Owns the order of the steps and the exit code; the laboratory, the expected
answers and the tables are its neighbours'.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from rich.console import Console

from bench.demo.report import Checked, make_console, show_load, show_rows
from bench.demo.rows import (
    ANY_SAN,
    APPENDING,
    ENVOY_ID,
    OPTIONAL_CERTIFICATE,
    ORDER,
    PLAIN,
    READ,
    REFUSED,
    ROWS,
    WORKLOADS,
    Expectation,
    Row,
)
from bench.lab import Lab, LabOptions
from bench.lab.client import Response
from bench.lab.envoy_config import Variant
from bench.lab.load import BackgroundLoad, LoadResult, for_seconds, run_load
from bench.lab.upstream import REPOSITORY
from bench.lab.waiting import wait_until

POLICIES: Final = REPOSITORY / "policies"
SERVED: Final = ("workload.rego", "request.rego", "data.json")
GRANTS: Final = "data.json"
UNCHECKED: Final = "no-ext-authz"
VARIANTS: Final = (
    Variant(OPTIONAL_CERTIFICATE, requires_client_certificate=False, accepts_any_san=True),
    Variant(ANY_SAN, accepts_any_san=True),
    Variant(APPENDING, forward_client_cert="APPEND_FORWARD"),
    Variant(PLAIN, is_tls=False, forward_client_cert="ALWAYS_FORWARD_ONLY"),
    Variant(UNCHECKED, is_checked=False),
)
CONNECTIONS: Final = 8
ROUNDS: Final = 4
ROUND_S: Final = 1.0


@dataclass(slots=True)
class Tally:
    """What the last line and the exit code are made of."""

    requests: int = 0
    mismatches: int = 0
    console: Console = field(default_factory=make_console)

    def rows(self, title: str, checked: list[Checked]) -> None:
        """Count and show a table."""
        self.requests += len(checked)
        self.mismatches += sum(item.mismatch is not None for item in checked)
        show_rows(self.console, title, checked)

    def load(self, result: LoadResult) -> None:
        """Count a load whose every request must be allowed."""
        self.requests += result.requests
        self.mismatches += result.requests - result.statuses[200] + len(result.failures)


def main() -> int:
    """Run the demo; 0 when every answer was the expected one."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    tally = Tally()
    started = time.monotonic()
    options = LabOptions(envoy_id=ENVOY_ID, workloads=WORKLOADS, variants=VARIANTS)
    with Lab(options, {name: (POLICIES / name).read_text() for name in SERVED}) as lab:
        tally.console.print(f"authz, Envoy and an upstream are up after {time.monotonic() - started:.1f} s\n")
        tally.rows("requests over mTLS", [check(lab, row) for row in ROWS])
        swap(lab, tally)
        outage(lab, tally)
        p95 = measure(lab, tally)
    tally.console.print(f"finished after {time.monotonic() - started:.0f} s; nothing is left running")
    print(f"demo: {tally.requests} requests, {tally.mismatches} mismatches, p95 {p95:.2f} ms")
    return 1 if tally.mismatches else 0


def check(lab: Lab, row: Row) -> Checked:
    """Send a row's request; a connection that Envoy ends during TLS is an outcome, not an error."""
    outcome: Response | str
    try:
        is_plain = row.listener == PLAIN
        outcome = lab.send_plain(row.request, row.listener) if is_plain else lab.send(row.caller, row.request, row.listener)
    except OSError:
        outcome = REFUSED
    return Checked(row, outcome)


def swap(lab: Lab, tally: Tally) -> None:
    """Edit policies under load: a broken edit changes nothing, a good one flips one answer, and no request fails."""
    source = (POLICIES / "workload.rego").read_text()
    with BackgroundLoad(lab.port(), ORDER, lab.context("frontend")) as load:
        checked = [check(lab, Row("before: frontend reads", "frontend", READ, Expectation(200)))]
        lab.write_policy("workload.rego", source + "\nallow if { this is not Rego\n")
        error = lab.authz.wait_for_refresh_error()
        checked.append(check(lab, Row("broken edit: the old policy decides", "frontend", READ, Expectation(200))))
        lab.write_policy("workload.rego", source)
        lab.authz.wait_until_healthy()
        seconds = revoke(lab)
        checked.append(check(lab, Row("grant revoked: frontend reads no more", "frontend", READ, Expectation(403))))
        checked.append(check(lab, Row("… and still creates orders", "frontend", ORDER, Expectation(200))))
    tally.load(load.result)
    tally.rows("policy edits under load", checked)
    tally.console.print(f"the broken edit was refused: {error}", markup=False, highlight=False)
    tally.console.print(f"the revocation took effect {seconds:.2f} s after the save; {load.result.requests:,} requests meanwhile\n")


def revoke(lab: Lab) -> float:
    """Take the frontend's grant to read orders back; return the seconds from the save until it decides."""
    before, data = lab.authz.revision(), json.loads((POLICIES / GRANTS).read_text())
    data["grants"] = [grant for grant in data["grants"] if grant.get("below") != "/v1/orders/"]
    written = time.monotonic()
    lab.write_policy(GRANTS, json.dumps(data))
    lab.authz.wait_for_other_revision(before)
    return time.monotonic() - written


def outage(lab: Lab, tally: Tally) -> None:
    """Kill `authz`: Envoy denies. Start it again: Envoy allows, without a restart of its own."""
    lab.authz.kill()
    checked = [check(lab, Row("authz killed: Envoy fails closed", "frontend", ORDER, Expectation(503)))]
    lab.authz.start()
    wait_until(lambda: lab.send("frontend", ORDER).status == 200, "Envoy has found the restarted authz")
    checked.append(check(lab, Row("authz restarted: decides again", "frontend", ORDER, Expectation(200))))
    tally.rows("outage", checked)


def measure(lab: Lab, tally: Tally) -> float:
    """Load Envoy with and without the check by turns; return the p95 of the checked way in milliseconds."""
    context = lab.context("frontend")
    results = {UNCHECKED: LoadResult(), "": LoadResult()}
    for listener in list(results) * ROUNDS:
        result = run_load(lab.port(listener), ORDER, context, connections=CONNECTIONS, should_stop=for_seconds(ROUND_S))
        tally.load(result)
        results[listener].add(result)
    show_load(tally.console, [("without ext_authz", results[UNCHECKED]), ("with ext_authz", results[""])], CONNECTIONS)
    return results[""].percentile_ms(95)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """Unwind as for an exception, so that the laboratory is taken down."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
