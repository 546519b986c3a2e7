"""One check service on both transports in one process, pinned to one core: the subject of the transport bench.

`python -m bench.serve_both CORE FILE` writes the two addresses to FILE as JSON and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from pathlib import Path

import uvloop

from authz.server import parse_address, serve
from authz.server.grpcio_transport import serve_grpcio
from bench import subject


async def _serve(target: Path) -> None:
    service = subject.check_service().service()
    loopback = [parse_address("127.0.0.1:0")]
    servers = {"ngh2": await serve(service, loopback), "grpcio": await serve_grpcio(service, loopback)}
    gc.freeze()  # as `authz serve` does
    draft = target.with_suffix(".draft")
    draft.write_text(json.dumps({name: str(server.addresses[0]) for name, server in servers.items()}))
    draft.replace(target)
    await asyncio.Event().wait()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})  # before any library starts threads
    uvloop.run(_serve(Path(sys.argv[2])))
