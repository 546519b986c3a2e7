"""What a caller waits for at constant rates through real Envoy over mTLS: without the check, and with it, in all its variants.

The transports are libnghttp2 and grpc.aio, the policies three rules and ten thousand; all is quiet, or the policy is edited all the
time. Envoy, `authz`, the upstream and this process share the machine, so what the check adds is the difference within one round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Any, Final, cast

from bench import subject
from bench.families import EQUALITY, LAST
from bench.lab import Lab, LabOptions
from bench.lab.authz_process import AuthzProcess, start_all
from bench.lab.client import Request
from bench.lab.envoy_config import Variant
from bench.lab.load import for_seconds as until
from bench.lab.load import run_load
from bench.lab.ports import free_port
from bench.load import pace
from bench.load.activation import Swapper
from bench.load.http import paced_http
from bench.load.pace import SHARES, for_seconds, latencies, medians
from bench.messages import CALLER_ID, PROXY_ID, REALISTIC_HEADERS
from bench.record import Figures

RATES: Final = (500, 1_000, 2_000, 4_000)
SWAP_RATES: Final = (1_000, 2_000)
RULES: Final = 10_000

NONE: Final = "no ext_authz"
CONNECTIONS: Final = 8
"""Of a saturating load, which is a closed loop: each connection asks again when it is answered."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way through Envoy: who answers its checks (None: nobody), and a request that is allowed."""

    name: str
    request: Request
    authz: AuthzProcess | None = None
    swapper: Swapper | None = None


def run(*, is_quick: bool = False) -> Figures:
    """Load every way at every rate by turns; latencies in milliseconds, processor time in shares of a core, memory in megabytes."""
    if is_quick:
        return measure((200,), (200,), rules=500, rounds=1, seconds=1.0)
    return measure(RATES, SWAP_RATES, rules=RULES, rounds=3, seconds=2.0)


def measure(rates: Sequence[int], swap_rates: Sequence[int], *, rules: int, rounds: int, seconds: float) -> Figures:
    """Measure some rates; medians over the rounds."""
    figures: Figures = {"quiet": {}, "swaps": {}, "saturation": {}}
    with _lab(rules) as (lab, ways):
        for way in ways:
            _paced(lab, way, min(rates), 0.5)  # what runs for the first time is not measured
        for rate in rates:
            figures["quiet"] |= _rounds(lab, ways, rate, rounds, seconds)
        swapped = [way for way in ways if way.swapper is not None or way.authz is None]
        for rate in swap_rates:
            figures["swaps"] |= _rounds(lab, swapped, rate, 1, rounds * seconds, is_swapping=True)
        for way in ways:
            result = run_load(lab.port(way.name), way.request, lab.context("frontend"), connections=CONNECTIONS, should_stop=until(seconds))
            figures["saturation"][way.name] = {"per_second": round(result.rate), "p99_ms": round(result.percentile_ms(99), 3)}
    return {**figures, "rules": rules, "rounds": rounds, "seconds_each": seconds}


def _rounds(  # noqa: PLR0913 - what a rate is measured with
    lab: Lab, ways: Sequence[Way], rate: int, rounds: int, seconds: float, *, is_swapping: bool = False
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the rows of one rate: of each way the medians, and what it adds to the round's load that is not checked."""
    rows: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            with _edits(way if is_swapping else None):
                row = _paced(lab, way, rate, seconds)
            base = rows[NONE][-1] if way.name != NONE else row
            rows[way.name].append(row | {f"added_{name}": row[name] - base[name] for name in SHARES if name in row and name in base})
    for name, measured in rows.items():
        yield f"{name}, {rate}/s", medians(measured)


def _paced(lab: Lab, way: Way, rate: int, seconds: float) -> dict[str, float]:
    watched = {"envoy": lab.envoy.process} | ({"authz": way.authz.process} if way.authz else {})
    before = {name: process.cpu_s() for name, process in watched.items()}
    paced = pace.run(paced_http(lab.port(way.name), way.request, lab.context("frontend"), rate, for_seconds(seconds)))
    row = latencies(paced.answers)
    for name, process in watched.items():
        row |= {f"{name}_cores": (process.cpu_s() - before[name]) / seconds, f"{name}_mb": process.resident_mb()}
    return row


@contextmanager
def _edits(way: Way | None) -> Iterator[None]:
    """Have the policy of a way edited again and again, each time as soon as the last edit decides."""
    if way is None or way.swapper is None:
        yield
        return
    is_over = Event()
    thread = Thread(target=_edit, args=(way.swapper, is_over), name="edits")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _edit(swapper: Swapper, is_over: Event) -> None:
    while not is_over.is_set():
        before = swapper.authz.revision()
        swapper.edit()
        while swapper.authz.revision() == before and not is_over.wait(0.1):
            swapper.authz.process.require_running()


@contextmanager
def _lab(rules: int) -> Iterator[tuple[Lab, list[Way]]]:
    """Run Envoy with a listener for each way, and an `authz` for each that is checked. Names of clusters go into `:authority`."""
    large = EQUALITY.build(rules)
    http = cast(Any, large.requests[LAST][0])["attributes"]["request"]["http"]
    request = partial(Request, headers=list(REALISTIC_HEADERS.items()))
    of_small, of_large = request("GET", "/v1/transactions/1000"), request(http["method"], http["path"])
    sources = {"3-rules": (subject.POLICY.read_text(), of_small), f"{rules}-rules": (large.source, of_large)}
    checked = {f"{transport}-{policy}": (transport, policy) for policy in sources for transport in ("ngh2", "grpcio")}
    ports = {name: free_port() for name in checked}
    variants = [Variant(NONE, accepts_any_san=True, is_checked=False)]
    variants += [Variant(name, accepts_any_san=True, cluster=name) for name in checked]
    options = LabOptions(PROXY_ID, {"frontend": CALLER_ID}, variants, extra_checks={name: [port] for name, port in ports.items()})
    with Lab(options, {subject.POLICY.name: subject.POLICY.read_text()}) as lab, ExitStack() as stack:
        ways = [Way(NONE, of_small)]
        for name, (transport, policy) in checked.items():
            source, asked = sources[policy]
            path = lab.directory / name / "policy.rego"
            path.parent.mkdir()
            path.write_text(source)
            authz = AuthzProcess([path.parent], lab.directory, ["--transport", transport], name=name, port=ports[name])
            stack.callback(authz.stop)
            ways.append(Way(name, asked, authz, Swapper(authz, path, source) if source is large.source else None))
        start_all([way.authz for way in ways if way.authz is not None])
        yield lab, ways
