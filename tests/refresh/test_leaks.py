"""What compiles leave behind: nothing that only a garbage collection could free, which an activation keeps from ever coming."""

from __future__ import annotations

import gc

import pytest

from authz.refresh.compilers import Compilers
from tests.outbound.upstream import run
from tests.refresh.test_compilers import REQUEST


def tracked() -> int:
    return len(gc.get_objects())


@pytest.mark.parametrize("is_ahead", [True, False])
def test_a_compile_leaves_nothing_that_waits_for_the_collector(is_ahead: bool) -> None:
    async def test() -> None:
        compilers = Compilers(is_ahead=is_ahead, pause_s=0.0)
        for _ in range(2):  # what is made once is there from now on
            await compilers.compile(REQUEST, [b"x"])
        gc.collect()
        gc.disable()
        try:
            before = tracked()
            for _ in range(5):
                await compilers.compile(REQUEST, [b"x"])
            assert tracked() - before < 10  # with asyncio.subprocess it was 20 for each
        finally:
            gc.enable()
            await compilers.close()

    run(test())
