"""Checks over gRPC at a constant rate, without Envoy: what a check waits for in `authz` alone."""

from __future__ import annotations

import asyncio

from authz.server.check import CHECK_METHOD
from bench.grpc_load import GRACE_S, Load, LoadConnection, connect
from bench.load.pace import Answer, GoesOn, Paced, pace


async def paced_checks(address: str, payload: bytes, rate: float, goes_on: GoesOn) -> Paced:
    """Send a check at a constant rate over one connection. Raises RuntimeError where one is not answered."""
    paced = Paced()
    connection = await connect(address, LoadConnection(Load(CHECK_METHOD, payload, in_flight=0)))
    await pace(connection.call, rate, goes_on, paced)
    connection.stop()
    await asyncio.wait([connection.finished], timeout=GRACE_S)
    connection.close()
    paced.answers += [Answer(when - waited, waited, is_right) for when, waited, is_right in connection.ended]
    paced.require_right(f"checks at {rate:g}/s")
    return paced
