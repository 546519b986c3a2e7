"""A discovery bundle → the configuration that it holds: read, verified, compiled and evaluated by itself, as OPA does.

Runs in the compile worker. What a configuration may say is not known here.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from msgspec import structs

from authz import rego
from authz.bundle.bundle import Bundle
from authz.errors import ErrorCode
from authz.refresh.bundle_archives import RefusedError, read_bundles
from authz.refresh.messages import Evaluated, EvaluateRequest, EvaluateResponse, Failed
from authz.rego.errors import CompileError, EvalError
from authz.telemetry.documents import printable

_NAME: Final = "discovery"

MAX_FINDINGS: Final = 100
"""A report is no place for more."""


def evaluate(request: EvaluateRequest, spool: int) -> EvaluateResponse:
    """Return the document that is asked for, of the archives in the file `spool`."""
    try:
        (bundle,), (read,) = read_bundles(request.source, spool, time.time())
        document = _document(bundle, request)
    except RefusedError as error:
        return structs.replace(error.failed, message=printable(error.failed.message))
    except CompileError as error:
        return Failed(ErrorCode.POLICY_COMPILE, printable(str(error)), is_final=True, errors=findings(error))
    except EvalError as error:
        return Failed(ErrorCode.BUNDLE, printable(f"the configuration cannot be evaluated: {error}"))
    if document is None:
        advice = f"`{printable('.'.join(('data', *request.path)))}` has no value in the discovery bundle"
        return Failed(ErrorCode.BUNDLE, "undefined configuration", advice, is_final=True)
    return Evaluated(document, read)


def _document(bundle: Bundle, request: EvaluateRequest) -> str | None:
    """Return the document as JSON, None if it is undefined. Raises CompileError, EvalError.

    The data is the bundle's own, without the manifests at `system.bundles`: they are no configuration.
    """
    modules = {f"{_NAME}/{path}": text for path, text in bundle.modules.items()}
    given = {f"{_NAME}/{path}": bundle.version_of(path) for path in bundle.modules}
    versions = {name: request.rego_version if version is None else version for name, version in given.items()}
    policy = rego.compile(modules, dict(bundle.data), rego_version=versions, optimize=False)
    steps = "".join(f"[{json.dumps(step)}]" for step in request.path)
    found = policy.query(f"found := data{steps} with opa.runtime as {request.runtime}")
    return json.dumps(found[0]["found"], default=float) if found else None  # a number that is no float is no setting either


def findings(error: CompileError) -> tuple[dict[str, Any], ...]:
    """Return what a compiler found, in the shape of OPA's status reports."""
    return tuple(
        {
            "code": str(found.code),
            "message": printable(found.message),
            "location": {"file": printable(found.location.file), "row": found.location.row, "col": found.location.col},
        }
        for found in error.diagnostics[:MAX_FINDINGS]
    )
