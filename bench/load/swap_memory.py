"""What the memory of a sidecar is after many swaps of a large bundle, under some checks.

Two ways: by going back and forth between two versions, where every swap is of a whole policy but nothing is compiled, so that there can
be a thousand of them; and by publishing bundles, which are downloaded, verified, compiled and persisted, each as soon as the last one is
active. `python -m bench.load.swap_memory --bundles 1000` takes the time for a thousand of these, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from bench.families import EQUALITY, LAST
from bench.lab.authz_process import AuthzProcess
from bench.lab.bundles import ENTRYPOINT, ControlPlane, telling_bundle
from bench.lab.ports import LOOPBACK
from bench.load import pace
from bench.load.grpc import paced_checks
from bench.messages import Check, realistic
from bench.record import Figures, Origin, Record

RULES: Final = 5_000
RATE: Final = 200.0
"""Checks a second meanwhile: what a decision leaves behind in its policy has to go with it."""

STEPS: Final = (0.1, 0.5, 1.0)
"""Shares of all swaps after which memory is told; it is flat if it stays near what it is after the first of them."""

Swap = Callable[[AuthzProcess, int], None]
"""Make the swap of this number and return when it is done."""


def measure(rules: int, *, rollbacks: int, bundles: int) -> Figures:
    """Swap both ways; return resident megabytes."""
    source = EQUALITY.build(rules).source
    document = cast(Any, EQUALITY.build(rules).requests[LAST][0])["attributes"]["request"]["http"]
    payload = realistic(Check(document["method"], document["path"])).encode()
    with _served(source) as (authz, plane):
        plane.publish(telling_bundle(2, source))
        authz.wait_for_revision("2")

        def roll_back(authz: AuthzProcess, _number: int) -> None:
            authz.change_bundles("rollback")

        def replace(authz: AuthzProcess, number: int) -> None:
            plane.publish(telling_bundle(number + 2, f'{source}\nallow if http.path == "/edited/{number}"\n'))
            authz.wait_for_revision(str(number + 2))

        figures = {"rollbacks": pace.run(_swapped(authz, payload, rollbacks, roll_back))}
        authz.change_bundles("unpin")
        authz.wait_for_revision("2")
        figures["bundles"] = pace.run(_swapped(authz, payload, bundles, replace))
    return {**figures, "rules": rules}


async def _swapped(authz: AuthzProcess, payload: bytes, count: int, swap: Swap) -> dict[str, float]:
    """Make swaps one after the other while checks are decided; return what the memory was."""
    swapping = asyncio.create_task(asyncio.to_thread(_resident, authz, count, swap))
    await paced_checks(f"{LOOPBACK}:{authz.port}", payload, RATE, lambda _: not swapping.done())
    return _summary(swapping.result())


def _resident(authz: AuthzProcess, count: int, swap: Swap) -> list[float]:
    after = [authz.process.resident_mb()]
    for number in range(1, count + 1):
        swap(authz, number)
        after.append(authz.process.resident_mb())
    return after


def _summary(after: list[float]) -> dict[str, float]:
    """Return memory at the beginning and after shares of the swaps; the least and the most of it since the first of those."""
    swaps = len(after) - 1
    numbers = [max(1, round(share * swaps)) for share in STEPS]
    settled = after[numbers[0] :]
    figures = {f"after_{number}_mb": after[number] for number in (0, *numbers)}
    figures |= {"least_ratio": min(settled) / settled[0], "most_ratio": max(settled) / settled[0]}
    return {name: round(figure, 3) for name, figure in figures.items()} | {"swaps": swaps}


@contextmanager
def _served(source: str) -> Iterator[tuple[AuthzProcess, ControlPlane]]:
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name:
        plane = ControlPlane(Path(name) / "plane")
        plane.publish(telling_bundle(1, source))
        authz = AuthzProcess([], Path(name), ["--config", str(plane.configuration("sidecar")), "--entrypoint", ENTRYPOINT])
        try:
            plane.start()
            authz.start()
            yield authz, plane
        finally:
            authz.stop()
            plane.stop()


def main(arguments: list[str]) -> int:
    """Measure memory alone, with as many swaps as are asked for, and leave a record."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.swap_memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rules", type=int, default=RULES)
    parser.add_argument("--rollbacks", type=int, default=1_000)
    parser.add_argument("--bundles", type=int, default=60)
    options: Mapping[str, int] = vars(parser.parse_args(arguments))
    origin = Origin(command=shlex.join(["python", "-m", "bench.load.swap_memory", *arguments]))
    figures = measure(options["rules"], rollbacks=options["rollbacks"], bundles=options["bundles"])
    print(json.dumps(figures))
    print(Record.of("memory", origin, figures).write())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
