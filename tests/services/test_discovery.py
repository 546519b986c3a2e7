"""What a discovery bundle may change, by OPA's rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from authz.services.conversion import SettingsError
from authz.services.discovery import discover

BOOT: dict[str, Any] = {
    "policies": ["p"],
    "services": [{"name": "acme", "url": "https://acme.test"}],
    "discovery": {"resource": "discovery", "signing": {"keyid": "k"}},
    "keys": {"k": {"key": "secret", "algorithm": "HS256"}},
    "labels": {"region": "west"},
}


def test_a_discovered_configuration_is_added_to_the_boot_configuration() -> None:
    found = discover(BOOT, {"bundles": {"authz": {"resource": "b.tar.gz"}}, "status": {}, "labels": {"team": "a"}})
    assert (found.plane.bundles["authz"].service, found.plane.bundles["authz"].resource) == ("acme", "b.tar.gz")
    assert found.plane.status is not None
    assert (found.plane.labels, found.message) == ({"region": "west", "team": "a"}, "")


def test_the_boot_configuration_wins_field_by_field_and_says_so() -> None:
    boot = BOOT | {"bundles": {"authz": {"resource": "mine"}}}
    found = discover(boot, {"bundles": {"authz": {"resource": "theirs", "persist": True}, "b": {}}, "labels": {"region": "east"}})
    assert (found.plane.bundles["authz"].resource, found.plane.bundles["authz"].persist) == ("mine", True)
    assert found.overridden == ("bundles.authz.resource", "labels.region")
    assert found.message == ("Keys in the discovered configuration overridden by boot configuration: bundles.authz.resource, labels.region")


def test_discovery_itself_is_never_changed() -> None:
    found = discover(BOOT, {"discovery": {"resource": "elsewhere"}})
    assert found.plane.discovery is not None
    assert (found.plane.discovery.resource, found.overridden) == ("discovery", ())


def test_what_was_found_is_not_changed_in_place() -> None:
    found = {"labels": {"a": "1"}}
    discover(BOOT, found)
    assert found == {"labels": {"a": "1"}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "the discovered configuration is not an object"),
        ({"services": {"acme": {"url": "https://evil.test"}}}, "updates to the discovery service are not allowed"),
        ({"keys": {"k": {"key": "other", "algorithm": "HS256"}}}, "updates to keys specified in the boot configuration are not allowed"),
        ({"bundles": {"b": {"service": "none"}}}, "field `bundles.b.service`: there is no service `none`"),
        ({"decision_logs": {}}, "field `decision_logs`: authz does not support this part of OPA's configuration"),
        ({"policies": ["q"]}, "unknown field `policies`"),
        ({"services": [{"url": "https://x"}]}, "field `services[0]`: a service in a list needs a `name`"),
    ],
)
def test_what_may_not_be_changed_is_refused(found: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        discover(BOOT, found)


def test_keys_of_the_boot_configuration_may_not_be_changed_where_the_signature_names_its_key() -> None:
    boot = BOOT | {"discovery": {"resource": "discovery"}}
    assert (
        discover(boot, {"keys": {"k": {"key": "secret", "algorithm": "HS256"}, "l": {"key": "x", "algorithm": "HS256"}}}).overridden == ()
    )
    with pytest.raises(SettingsError, match="updates to keys specified in the boot configuration are not allowed"):
        discover(boot, {"keys": {"k": {"key": "other", "algorithm": "HS256"}}})


def test_the_older_form_names_the_decision_too() -> None:
    found = discover(BOOT | {"discovery": {"name": "example/discovery", "prefix": "/b/"}}, {"bundles": {"a": {}}})
    assert found.plane.discovery is not None
    assert (found.plane.discovery.resource, found.plane.decision) == ("b/example/discovery", "example/discovery")


def test_the_same_service_may_be_said_again_and_others_added() -> None:
    services = {"acme": {"name": "acme", "url": "https://acme.test"}, "logs": {"url": "https://logs.test"}}
    assert list(discover(BOOT, {"services": services}).plane.services) == ["acme", "logs"]


def test_the_discovery_service_stays_the_default() -> None:
    found = discover(BOOT, {"services": {"aaa": {"url": "https://aaa.test"}}, "bundles": {"b": {}}})
    assert found.plane.bundles["b"].service == "acme"
    assert found.plane.discovery is not None
    assert found.plane.discovery.service == "acme"
