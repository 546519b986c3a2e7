"""What it takes to compile: each policy in a process of its own, which leaves it in a file for those that measure what it does.

`python -m bench.compiling FAMILY SIZE FILE [--without-tables]` is that process; it prints its figures as JSON. A policy that
does not decide as its family says it must is an error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Final

from authz.rego import TRUE, Policy, compiler, from_json
from bench.families import ENTRYPOINT, FAMILIES, MISS, Case, Family
from bench.lab.upstream import REPOSITORY
from bench.measure import peak_mb

WITHOUT_TABLES: Final = "--without-tables"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy in a file, and what it took to make it."""

    path: Path
    figures: dict[str, float]

    def load(self) -> Policy:
        """Return the policy, as a serving process takes it over."""
        return Policy.from_bytes(self.path.read_bytes())


def compile_apart(family: Family, size: int, directory: Path, *, optimize: bool = True) -> Compiled:
    """Compile a family's policy of one size in another process. Raises RuntimeError with what that process said."""
    target = directory / f"{family.name}-{size}-{optimize}.policy"
    command = [sys.executable, "-m", "bench.compiling", family.name, str(size), str(target), *([] if optimize else [WITHOUT_TABLES])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"compiling `{family.name}` with {size} rules failed:\n{done.stderr}")
    return Compiled(target, json.loads(done.stdout))


def measured(case: Case, *, optimize: bool = True) -> tuple[Policy, dict[str, float]]:
    """Compile as `rego.compile` does; return the seconds of processor time of each step."""
    moments = [process_time()]
    with compiler.collector_paused():
        source = compiler.make_source({"policy.rego": case.source}, case.data, 1, optimize)
        planned = compiler.plan_source(source)
        moments.append(process_time())
        artifact = compiler.generate(planned, source)
        moments.append(process_time())
        policy = Policy(source, artifact, planned)
        moments.append(process_time())
    steps = [after - before for before, after in pairwise(moments)]
    return policy, dict(zip(("plan_s", "tables_s", "link_s"), steps, strict=True)) | {"cpu_s": sum(steps)}


def require_right(policy: Policy, case: Case) -> None:
    """Raise RuntimeError if a request (of each kind some) is not decided as its kind says."""
    evaluate = policy.entrypoint(ENTRYPOINT).evaluate
    for kind, requests in case.requests.items():
        for request in requests[:: len(requests) // 4]:
            if (evaluate(from_json(request), 0) is TRUE) == (kind == MISS):
                raise RuntimeError(f"wrong decision on a request of kind `{kind}`: {json.dumps(request)}")


def main(arguments: list[str]) -> int:
    """Compile what the arguments name."""
    name, size, target, *options = arguments
    case = FAMILIES[name].build(int(size))
    policy, seconds = measured(case, optimize=WITHOUT_TABLES not in options)
    most_mb = peak_mb()
    require_right(policy, case)
    content = policy.to_bytes()
    Path(target).write_bytes(content)
    figures = {name: round(value, 3) for name, value in seconds.items()}
    print(json.dumps(figures | {"policy_mb": round(len(content) / 1e6, 1), "peak_mb": round(most_mb)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
