"""The process that reads, parses and compiles policies, and evaluates discovery: `python -m authz.refresh.compile_worker`.

It may be started before there is anything to do. One request on stdin, one response on stdout, then it ends and its memory with it. It
serves nothing.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import structs

from authz import rego
from authz.bundle.directory import MODULE_SUFFIX, PolicySource, SourceError
from authz.bundle.errors import BundleError
from authz.bundle.sources import combine
from authz.errors import ErrorCode
from authz.refresh.bundle_archives import RefusedError, read_bundles
from authz.refresh.evaluation import evaluate, findings
from authz.refresh.files import fingerprint
from authz.refresh.messages import (
    Bundles,
    Compiled,
    CompileRequest,
    CompileResponse,
    EvaluateRequest,
    Failed,
    Paths,
    ReadBundle,
    Unchanged,
    decode_request,
    encode,
)  # fmt: skip
from authz.refresh.settling import settled
from authz.refresh.sources import read_source
from authz.telemetry.documents import printable

OOM_SCORE: Final = "800"
"""Where memory is short, the kernel ends the compile (a failed attempt) and not the service beside it."""

NO_SPOOL: Final = -1
"""The descriptor of no file, for requests without archives."""


def load(paths: Iterable[str | Path]) -> PolicySource:
    """Read the policy source at `paths`; raises SourceError, also if there is no module in it, and BundleError."""
    roots = [Path(path) for path in paths]
    source = read_source(roots)
    if not source.modules:
        raise SourceError(f"{', '.join(map(str, roots))}: no `{MODULE_SUFFIX}` file")
    return source


def load_settled(paths: Iterable[str | Path]) -> PolicySource:
    """Read the policy source at `paths` as it stood at one moment; raises SourceError and BundleError."""
    roots = [Path(path) for path in paths]
    return settled(lambda: load(roots), lambda: fingerprint(roots), ", ".join(map(str, roots)))


def answer(request: CompileRequest, spool: int = NO_SPOOL) -> CompileResponse:
    """Load and compile what is asked for; archives are in the file `spool`."""
    try:
        source, tests, bundles = _loaded(request.source, spool)
    except RefusedError as error:
        return structs.replace(error.failed, message=printable(error.failed.message))
    except (SourceError, BundleError) as error:  # a disk may be read another time, bundles that do not fit together never do
        return Failed(error.code, printable(error.message), error.help, is_final=isinstance(request.source, Bundles))
    if source.digest == request.known_digest:  # bundles say their own revision, perhaps always the same
        return Unchanged(source.revision, bundles)
    begun_ns = time.perf_counter_ns()
    try:
        versions = source.versions(request.rego_version)
        policy = rego.compile(source.modules, source.data, rego_version=versions, entrypoints=(request.entrypoint,))
    except rego.CompileError as error:
        return Failed(ErrorCode.POLICY_COMPILE, printable(str(error)), is_final=True, errors=findings(error))
    compiled = Compiled(source.revision, policy.to_bytes(), source.digest, bundles, time.perf_counter_ns() - begun_ns)
    failed = None if tests is None else _failed_tests(tests, request.rego_version)
    return failed or compiled


def _failed_tests(source: PolicySource, rego_version: int) -> Failed | None:
    """Run the tests; return what is wrong with them."""
    from authz.refresh.bundle_tests import run_tests  # noqa: PLC0415 - a tenth of this process' start, only where tests are asked for

    failed = run_tests(source, rego_version, time.time_ns())
    return None if failed is None else structs.replace(failed, message=printable(failed.message))


def _loaded(source: Paths | Bundles, spool: int) -> tuple[PolicySource, PolicySource | None, tuple[ReadBundle, ...]]:
    """Return the source to compile, the one with tests if they are to be run, and what the bundles are.

    Raises SourceError, BundleError and RefusedError.
    """
    if isinstance(source, Paths):
        return load_settled(source.paths), None, ()
    bundles, read = read_bundles(source, spool, time.time())
    etags = {parts.name: parts.etag for parts in source.bundles}
    combined = combine(bundles, etags=etags)
    if not combined.modules:
        raise BundleError(f"bundles {', '.join(parts.name for parts in source.bundles)}: no `{MODULE_SUFFIX}` file")
    return combined, combine(bundles, etags=etags, with_tests=True) if source.must_pass_tests else None, read


def main(arguments: list[str]) -> None:
    """Answer the request on stdin; the argument is the descriptor of the file that archives are in, where there are any."""
    response_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not become part of the response
    with suppress(OSError):  # no /proc: then the kernel decides by size alone
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    message = sys.stdin.buffer.read()
    if not message:  # started ahead, and nothing was to be done
        return
    request = decode_request(message)
    spool = int(arguments[0]) if arguments else NO_SPOOL
    signal.alarm(math.ceil(request.timeout_s) + 1)  # ends an orphan whose parent can kill it no more
    with open(response_fd, "wb") as response:
        response.write(encode(evaluate(request, spool) if isinstance(request, EvaluateRequest) else answer(request, spool)))


if __name__ == "__main__":
    main(sys.argv[1:])
