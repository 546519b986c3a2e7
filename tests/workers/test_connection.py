"""A worker as its supervisor sees it, at the moments at which the one does not know yet that the other is gone."""

from __future__ import annotations

import os
import signal

from authz.workers.connection import Connection
from authz.workers.messages import Listen
from tests.outbound.upstream import run, until


def test_what_is_said_to_a_worker_that_is_gone_is_lost_and_harms_nobody() -> None:
    async def test() -> None:
        worker = await Connection.start(())
        try:
            os.kill(worker.pid, signal.SIGKILL)
            await worker.wait_ended(30, kill=False)
            worker.send(Listen())  # nobody reads this, by which the channel learns of it
            await until(worker._writer.transport.is_closing)
            worker.send(Listen(), b"blob")
            worker.ask_soon()
            await worker.ask()
            assert worker.stats is None
        finally:
            assert await worker.end() == "signal 9"

    run(test())
