"""Free TCP ports that stay free. Opens no listener of its own beyond the test bind."""

from __future__ import annotations

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

# Below Linux' ephemeral range (32768-60999): no outgoing connection can take a
# port between its choice and its use, nor while a killed server is down.
FIRST, LAST = 20_000, 32_000

_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on and that was not returned before."""
    for _ in range(1000):
        port = random.randint(FIRST, LAST)  # noqa: S311 (spreads parallel runs; guards no secret)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
