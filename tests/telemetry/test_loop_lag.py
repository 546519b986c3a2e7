from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from authz.telemetry import loop_lag
from authz.telemetry.loop_lag import LoopLag


def test_a_blocked_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "INTERVAL_S", 0.01)

    def block() -> None:
        until = time.perf_counter() + 0.06
        while time.perf_counter() < until:
            pass

    async def block_midway() -> LoopLag:
        lag = LoopLag()
        lag.start()
        block()
        while not sum(lag.histogram.counts):  # noqa: ASYNC110 - until the late timer has run
            await asyncio.sleep(0)
        lag.stop()
        return lag

    lag = uvloop.run(block_midway())
    assert sum(lag.histogram.counts) == 1
    assert lag.histogram.sum_ns >= 40_000_000


def test_nothing_is_sampled_after_the_stop() -> None:
    async def start_and_stop() -> LoopLag:
        lag = LoopLag()
        lag.start()
        lag.stop()
        return lag

    assert sum(uvloop.run(start_and_stop()).histogram.counts) == 0
