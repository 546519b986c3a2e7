"""What an active policy adds to the memory of the process that serves, and what of it a swap gives back.

`python -m bench.memory FILE` takes the policy in FILE over as `authz serve` does, from a small policy and back to it, and prints
figures as JSON. A process of its own, because memory that was used once is not what a fresh process would need.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import authz.app  # noqa: F401 - everything that a serving process has loaded
from authz import rego
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig
from authz.refresh.activation import SnapshotBuilder, SnapshotSettings
from authz.refresh.messages import Compiled
from bench.families import ENTRYPOINT
from bench.lab.upstream import REPOSITORY
from bench.measure import peak_mb, resident_mb

_SMALL: Final = "package envoy.authz\n\ndefault allow := false\n"
SWAPS: Final = 3
"""Times that the large policy is activated and replaced. What the allocator keeps for the next is used again, what is lost adds up."""


def memory_of(path: Path) -> dict[str, float]:
    """Measure the policy in a file; return megabytes of resident memory. Raises RuntimeError with what the process said."""
    command = [sys.executable, "-m", "bench.memory", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"activating `{path.name}` failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def _measure(path: Path) -> dict[str, float]:
    settings = SnapshotSettings(ENTRYPOINT, IdentityConfig(), CacheConfig())
    pdp, builder = PDP(), SnapshotBuilder(settings)

    async def activate(compiled: Compiled) -> None:
        pdp.activate(await builder.build(compiled))

    small = rego.compile({"small.rego": _SMALL}).to_bytes()
    await activate(Compiled("small", small))
    before = resident_mb()
    await activate(_compiled("large", path))
    figures = {"added_mb": resident_mb() - before, "peak_added_mb": peak_mb() - before}
    for swap in range(SWAPS):
        await activate(Compiled(f"small {swap}", small))
        if swap + 1 < SWAPS:
            await activate(_compiled(f"large {swap}", path))
    await asyncio.get_running_loop().shutdown_default_executor()  # a replaced policy is freed in a thread
    return {**figures, "left_mb": resident_mb() - before}


def _compiled(revision: str, path: Path) -> Compiled:
    return Compiled(revision, path.read_bytes())


if __name__ == "__main__":
    measured = asyncio.run(_measure(Path(sys.argv[1])))
    print(json.dumps({name: round(value, 1) for name, value in measured.items()}))
