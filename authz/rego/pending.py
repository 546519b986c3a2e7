"""An evaluation that needs an answer from outside: the request it stops at, and what it is told when it is begun again.

A decision never waits: who drives it obtains the answer, puts it into the evaluation's memory and evaluates
anew. Knows neither how a request is written in Rego nor how it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from authz.rego.errors import EVAL_CANCEL, EvalError
from authz.rego.values import Object, Value

HTTP_SEND: Final = "http.send"

MAX_REQUESTS: Final = 16
"""Different requests that one evaluation may need answered, unless its driver is told otherwise."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """The `tls_…` parameters of a request; empty text where one is not given."""

    ca_cert: str = ""
    ca_cert_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    server_name: str = ""
    use_system_certs: bool = False
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The operand of one `http.send`, valid and normalised.

    `key` is equal for requests that may share an answer. `timeout_ns` is 0 where the policy sets no bound, None where it says
    nothing. `force_cache_s` is 0 unless the policy itself says for how long an answer is good.
    """

    key: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout_ns: int | None = None
    raises: bool = True
    follows_redirects: bool = False
    forces_json: bool = False
    forces_yaml: bool = False
    caches: bool = False
    force_cache_s: int = 0
    retries: int = 0
    tls: TlsOptions = TlsOptions()


class Pending(Exception):  # noqa: N818 - no error: the evaluation goes on once it is answered
    """The evaluation cannot go on without the answer to `request`. No policy can catch it, and neither `not` nor strictness changes it."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(HTTP_SEND)
        self.request = request


def _nothing(_request: HttpRequest) -> Object | None:
    return None


class Memory(dict[tuple[Value, ...], Value]):
    """What outlives an evaluation that is begun again: the answers it was given, and its random values, which must not change.

    `lookup` gives answers that are at hand without waiting.
    """

    __slots__ = ("_lookup",)

    def __init__(self, lookup: Callable[[HttpRequest], Object | None] = _nothing) -> None:
        super().__init__()
        self._lookup = lookup

    def answer(self, request: HttpRequest, value: Object) -> None:
        """Have the evaluation find `value` for the request from now on."""
        self[HTTP_SEND, request.key] = value

    def answer_to(self, request: HttpRequest) -> Object:
        """Return the answer to a request, the same throughout an evaluation. Raises Pending."""
        known = self.get((HTTP_SEND, request.key))
        if known is None:
            known = self._lookup(request)
            if known is None:
                raise Pending(request)
            self.answer(request, known)
        assert isinstance(known, Object)
        return known


def asking(send: Callable[[HttpRequest], Object]) -> Memory:
    """Return the memory of an evaluation that may wait: what it lacks it has sent, so that it never stops.

    For commands, which people wait for; a decision does not. Raises EvalError in the evaluation beyond MAX_REQUESTS.
    """
    left = MAX_REQUESTS

    def answered(request: HttpRequest) -> Object:
        nonlocal left
        if not left:
            raise too_many_requests(MAX_REQUESTS)
        left -= 1
        return send(request)

    return Memory(answered)


def too_many_requests(most: int) -> EvalError:
    """Return the error of an evaluation that needs more answers than it may."""
    return EvalError(EVAL_CANCEL, f"{HTTP_SEND}: more than {most} requests in one evaluation")
