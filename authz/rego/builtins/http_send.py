"""`http.send`: asks the evaluation for the answer to a request. The network is the business of who drives the evaluation."""

from __future__ import annotations

from authz.rego.builtins.http_request import raises_error, read_request
from authz.rego.builtins.http_response import INTERNAL_ERROR, failure
from authz.rego.builtins.registry import OBJECT, EvalContext, builtin
from authz.rego.errors import BuiltinError
from authz.rego.pending import HTTP_SEND
from authz.rego.values import Object, Value


@builtin(HTTP_SEND, OBJECT, result=OBJECT, deterministic=False, needs_context=True)
def http_send(context: EvalContext, request: Object) -> Value:
    """Return the answer to a request; a failure is an error unless `raise_error` is false."""
    raises = raises_error(request)
    try:
        wanted = read_request(request)
    except BuiltinError as error:
        if raises:
            raise
        return failure(INTERNAL_ERROR, f"{error.code}: {error.message}")
    answer = context.answer_to(wanted)
    failed = answer.get("error")
    if raises and isinstance(failed, Object):
        raise BuiltinError(f"{HTTP_SEND}: {failed['message']}")
    return answer
