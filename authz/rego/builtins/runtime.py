"""Built-ins that would reach outside the evaluation, and what they are while deciding.

A decision neither prints, nor traces, nor calls anybody: what OPA does there is
refused or has no effect. `with` can replace each of them in tests. `print` writes
only where an evaluation has an output, which a decision has not.
"""

from __future__ import annotations

import itertools
from typing import Final

from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, OBJECT, STRING, EvalContext, builtin
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import display_text, json_text
from authz.rego.values import EMPTY_OBJECT, Object, Set, Value

_UNDEFINED: Final = "<undefined>"

_HTTP_KEYS = frozenset(
    {
        "method", "url", "body", "enable_redirect", "force_json_decode", "force_yaml_decode", "headers", "raw_body",
        "tls_use_system_certs", "tls_ca_cert", "tls_ca_cert_file", "tls_ca_cert_env_variable", "tls_client_cert",
        "tls_client_cert_file", "tls_client_cert_env_variable", "tls_client_key", "tls_client_key_file",
        "tls_client_key_env_variable", "tls_insecure_skip_verify", "tls_server_name", "timeout", "cache", "force_cache",
        "force_cache_duration_seconds", "raise_error", "caching_mode", "max_retry_attempts", "cache_ignored_headers",
    }
)  # fmt: skip


@builtin("opa.runtime", result=OBJECT, deterministic=False)
def opa_runtime() -> Value:
    """Return nothing of the process: its environment is no policy's business."""
    return EMPTY_OBJECT


@builtin("print", ANY, result=BOOLEAN)
def opa_print(_value: Value) -> bool:
    return True


@builtin("internal.print", ARRAY, result=BOOLEAN, needs_context=True)
def internal_print(context: EvalContext, operands: tuple[Value, ...]) -> bool:
    """Write what `print` is compiled to: sets of the values of its operands; a line for each way to take one of every set."""
    if context.output is not None:
        shown = [[display_text(value) for value in operand.ordered()] or [_UNDEFINED] for operand in operands if isinstance(operand, Set)]
        for line in itertools.product(*shown):
            context.output(" ".join(line))
    return True


@builtin("trace", STRING, result=BOOLEAN)
def trace(_note: str) -> bool:
    return True


@builtin("http.send", OBJECT, result=OBJECT, deterministic=False)
def http_send(request: Object) -> Value:
    """Refuse: a decision must not wait for the network. A request that OPA would refuse is refused in its words."""
    check_request("http.send", request)
    raise BuiltinError("http.send: not enabled")


def check_request(name: str, request: Object) -> None:
    """Raise eval_type_error for a request that has an unknown key or lacks a required one."""
    unknown = [key for key in request.ordered() if key not in _HTTP_KEYS]
    if unknown:
        names = ", ".join(json_text(key) for key in unknown)
        raise BuiltinError(f"{name}: operand 1 invalid request parameters(s): {{{names}}}", EVAL_TYPE)
    missing = [f'"{key}"' for key in ("method", "url") if key not in request]
    if missing:
        raise BuiltinError(f"{name}: operand 1 missing required request parameters(s): {{{', '.join(missing)}}}", EVAL_TYPE)
