"""Built-ins that would leave the process do not."""

import pytest

from authz.rego.builtins import BUILTINS
from tests.rego.builtins.as_json import call, failure


def test_the_process_tells_nothing_of_itself() -> None:
    assert call("opa.runtime") == {}


def test_print_and_trace_hold() -> None:
    assert call("print", 1) is True
    assert call("trace", "x") is True


def test_http_send_is_not_enabled() -> None:
    assert failure("http.send", {"method": "get", "url": "http://127.0.0.1/"}) == "not enabled"
    assert failure("http.send", {"method": "get"}) == 'operand 1 missing required request parameters(s): {"url"}'
    assert failure("http.send", {"foo": 1, "bar": 2}) == 'operand 1 invalid request parameters(s): {"bar", "foo"}'


@pytest.mark.parametrize(
    "name",
    [
        "time.now_ns",
        "opa.runtime",
        "http.send",
        "net.lookup_ip_addr",
        "io.jwt.decode_verify",
        "io.jwt.encode_sign",
        "io.jwt.encode_sign_raw",
    ],
)
def test_what_may_change_between_evaluations_says_so(name: str) -> None:
    """A decision that calls one of these must not be cached."""
    assert BUILTINS[name].deterministic is False
