"""Nobody becomes somebody else by a header, whatever Envoy does with it. (Certificates made to deceive: test_identity_of_real_envoy.py.)"""

from __future__ import annotations

import pytest

from bench.lab import Lab
from bench.lab.client import Request
from tests.e2e import names
from tests.e2e.names import ALLOWED, WHOAMI

FORGED = f"By={names.ENVOY_ID};Hash={'a' * 64};URI={names.FRONTEND}"
FORGERIES = (
    FORGED,
    f"URI={names.FRONTEND}",
    f"{FORGED},{FORGED}",
    f'URI={names.FRONTEND};Subject="',
    f'[{{"by":["{names.ENVOY_ID}"],"uri":["{names.FRONTEND}"]}}]',
    "[]",
    ",",
)


def forging(path: str, header: str) -> Request:
    return Request(path=path, headers=[("x-forwarded-client-cert", header)])


@pytest.mark.parametrize("header", FORGERIES)
def test_what_the_client_says_is_replaced_by_what_tls_says(lab: Lab, header: str) -> None:
    assert lab.send("intruder", forging("/allowed", header)).status == 403
    seen = lab.send("intruder", forging("/whoami", header)).upstream_headers
    assert seen["x-who"] == names.INTRUDER
    assert names.FRONTEND not in seen["x-forwarded-client-cert"]


@pytest.mark.parametrize("header", FORGERIES)
def test_a_forged_first_element_is_not_believed_where_envoy_appends(lab: Lab, header: str) -> None:
    assert lab.send("intruder", forging("/allowed", header), names.APPEND).status == 403


def test_where_envoy_appends_the_last_element_is_the_caller(lab: Lab) -> None:
    seen = lab.send("intruder", forging("/whoami", FORGED), names.APPEND).upstream_headers
    assert seen["x-forwarded-client-cert"].startswith(FORGED)
    assert seen["x-who"] == names.INTRUDER
    assert lab.send("frontend", forging("/allowed", f"URI={names.INTRUDER}"), names.APPEND).status == 200


@pytest.mark.parametrize("header", FORGERIES)
def test_a_forwarded_header_is_not_believed_over_tls(lab: Lab, header: str) -> None:
    assert lab.send("intruder", forging("/allowed", header), names.FORWARD).status == 403


@pytest.mark.parametrize("header", FORGERIES)
def test_a_forwarded_header_is_not_believed_over_plain_text(lab: Lab, header: str) -> None:
    assert lab.send_plain(forging("/allowed", header), names.PLAIN).status == 403
    assert lab.send_plain(forging("/whoami", header), names.PLAIN).status == 403


def test_without_a_certificate_there_is_no_identity(lab: Lab) -> None:
    assert lab.send(None, ALLOWED, names.NO_CERTIFICATE).status == 403
    assert lab.send(None, WHOAMI, names.NO_CERTIFICATE).status == 403
    assert lab.send(None, forging("/whoami", FORGED), names.NO_CERTIFICATE).status == 403


def test_a_certificate_without_a_spiffe_id_is_no_identity(lab: Lab) -> None:
    assert lab.send("nameless", WHOAMI, names.ANY_SAN).status == 403


@pytest.mark.parametrize("caller", ["foreign", "nameless", None])
def test_who_has_no_certificate_of_the_trust_domain_ends_in_the_handshake(lab: Lab, caller: str | None) -> None:
    with pytest.raises(OSError, match=r"(?i)ssl|eof|reset|closed|pipe"):
        lab.send(caller, ALLOWED)
