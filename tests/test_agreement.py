"""Two ways to a decision, one decision: tables and table-free evaluation, libnghttp2 and grpcio, direct and served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
import uvloop
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz import rego
from authz.pdp import PDP, Decision
from authz.server import parse_address, serve
from authz.server.check import CHECK_METHOD, CheckService
from authz.server.grpcio_transport import serve_grpcio
from authz.telemetry.counters import CheckCounters
from tests.agreement_cases import NOW_NS, Posed, cases
from tests.policy_strategies import DATA, ENTRYPOINT, inputs, policies

CASES = list(cases())
PATIENCE_S = 30.0


def decide(posed: Posed, *, optimize: bool) -> Decision:
    pdp = PDP()
    pdp.activate(posed.snapshot(optimize=optimize))
    return pdp.decide(posed.request, NOW_NS)


def shown(decision: Decision) -> tuple[CheckResponse, bool, str, str | None]:
    return CheckResponse.FromString(decision.response), decision.allowed, decision.reason, decision.error


@pytest.mark.parametrize("posed", CASES, ids=lambda posed: posed.name)
def test_a_check_is_decided_alike_with_and_without_tables(posed: Posed) -> None:
    assert shown(decide(posed, optimize=True)) == shown(decide(posed, optimize=False))


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to; `error` is its code."""

    value: rego.Value | None
    error: str | None = None


def outcome(policy: rego.Policy, document: rego.Value) -> Outcome:
    try:
        return Outcome(policy.entrypoint(ENTRYPOINT).evaluate(document, NOW_NS))
    except rego.EvalError as error:
        return Outcome(None, error.code)


def compile_both(source: str) -> tuple[rego.Policy, rego.Policy] | None:
    """Compile with and without tables; None if the policy is refused, which must not depend on it."""
    compiled: list[rego.Policy | str] = []
    for optimize in (True, False):
        try:
            compiled.append(rego.compile({"gen.rego": source}, DATA, optimize=optimize))
        except rego.CompileError as error:
            compiled.append(error.code)
    tables, plain = compiled
    if isinstance(tables, str) or isinstance(plain, str):
        assert tables == plain
        return None
    return tables, plain


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(source=policies, documents=st.lists(inputs, min_size=1, max_size=8))
def test_generated_policies_decide_alike_with_and_without_tables(source: str, documents: list[Any]) -> None:
    both = compile_both(source)
    if both is None:
        return
    tables, plain = both
    for document in documents:
        value = rego.from_json(document)
        assert outcome(tables, value) == outcome(plain, value), document
        assert outcome(rego.Policy.from_bytes(tables.to_bytes()), value) == outcome(tables, value)


class Served:
    """One check service on both transports at once, in a loop of its own."""

    def __init__(self) -> None:
        self.pdp = PDP()
        self._service = CheckService(self.pdp, CheckCounters(), now_ns=lambda: NOW_NS).service()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served")

    @contextmanager
    def running(self) -> Iterator[Mapping[str, Callable[[bytes], bytes]]]:
        """Yield a way to ask on each transport."""
        self._thread.start()
        try:
            with self._channel(serve) as ngh2, self._channel(serve_grpcio) as grpcio:
                yield {"ngh2": ngh2, "grpcio": grpcio}
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @contextmanager
    def _channel(self, start: Callable[..., Any]) -> Iterator[Callable[[bytes], bytes]]:
        server = self._wait(start, self._service, [parse_address("127.0.0.1:0")])
        try:
            with grpc.insecure_channel(str(server.addresses[0])) as channel:
                yield partial(channel.unary_unary(CHECK_METHOD), timeout=PATIENCE_S)
        finally:
            self._wait(server.drain, PATIENCE_S)

    def _wait(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(function(*arguments), self._loop).result(PATIENCE_S)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[PDP, Mapping[str, Callable[[bytes], bytes]]]]:
    both = Served()
    with both.running() as transports:
        yield both.pdp, transports


@pytest.mark.parametrize("posed", CASES, ids=lambda posed: posed.name)
def test_a_check_is_answered_alike_on_both_transports(served: tuple[PDP, Mapping[str, Callable[[bytes], bytes]]], posed: Posed) -> None:
    pdp, transports = served
    pdp.activate(posed.snapshot())
    direct = CheckResponse.FromString(pdp.decide(posed.request, NOW_NS).response)
    answers = {name: CheckResponse.FromString(ask(posed.request)) for name, ask in transports.items()}
    assert answers == {"ngh2": direct, "grpcio": direct}


def test_there_are_cases_of_every_kind() -> None:
    kinds = {posed.name.partition("-")[0] for posed in CASES}
    assert "example" in kinds
    outcomes = {decide(posed, optimize=True).reason for posed in CASES if posed.name.startswith("example")}
    assert {"allowed", "denied", "bad_request"} <= outcomes
