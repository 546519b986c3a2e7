"""UUIDs."""

from __future__ import annotations

import uuid

import pytest

from tests.rego.builtins.harness import Evaluation, call, failure, value

V4 = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("text", [V4, f"{{{V4}}}", f"urn:uuid:{V4}", f"URN:UUID:{V4}", V4.replace("-", ""), V4.upper()])
def test_every_form_is_read(text: str) -> None:
    assert call("uuid.parse", text) == value({"version": 4, "variant": "RFC4122"})


def test_a_time_based_uuid_tells_when_and_where() -> None:
    assert call("uuid.parse", "d2a5c7d0-5fd4-11ec-bf63-0242ac130002") == value(
        {
            "version": 1,
            "variant": "RFC4122",
            "time": 1639812821342817600,
            "nodeid": "02-42-ac-13-00-02",
            "macvariables": "local:unicast",
            "clocksequence": 16227,
        }
    )


def test_a_dce_uuid_tells_domain_and_id() -> None:
    fields = call("uuid.parse", "000003e8-5fd4-21ec-b905-0342ac130002")
    assert (fields["id"], fields["domain"], fields["macvariables"]) == (1000, "Domain5", "local:multicast")
    assert call("uuid.parse", "000003e8-5fd4-21ec-b900-0342ac130002")["domain"] == "Person"


@pytest.mark.parametrize(("digit", "variant"), [("0", "Reserved"), ("8", "RFC4122"), ("c", "Microsoft"), ("f", "Future")])
def test_variants_are_named(digit: str, variant: str) -> None:
    assert call("uuid.parse", f"00000000-0000-4000-{digit}000-000000000000")["variant"] == variant


def test_a_time_before_1970_wraps_as_in_go() -> None:
    assert call("uuid.parse", "00000000-0000-1000-8000-000000000000")["time"] == 6227451273709551616


@pytest.mark.parametrize("text", ["", "garbage", V4[:-1], V4 + "0", V4.replace("-", "_"), "{" + V4])
def test_what_is_no_uuid_is_undefined(text: str) -> None:
    assert call("uuid.parse", text) is None


def test_a_number_is_no_uuid_text() -> None:
    assert failure("uuid.parse", 1) == "eval_type_error: uuid.parse: operand 1 must be string but got number"


def test_random_uuids_are_the_same_per_key_within_an_evaluation() -> None:
    evaluation = Evaluation()
    first = call("uuid.rfc4122", "a", evaluation=evaluation)
    assert call("uuid.rfc4122", "a", evaluation=evaluation) == first
    assert call("uuid.rfc4122", "b", evaluation=evaluation) != first
    assert call("uuid.rfc4122", "a") != first
    assert uuid.UUID(first).version == 4
