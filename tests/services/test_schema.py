"""The help lines of settings that cannot be: which value may stand there, and which field was meant."""

from __future__ import annotations

import pytest

from authz.bundle.yaml_text import parse_yaml
from authz.config import Config
from authz.services.conversion import SettingsError, convert
from tests.services.test_settings import REGISTRY, SERVICE


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("transport: http", "write `grpcio` or `ngh2`"),
        ("services: {a: {url: 'http://a', type: OCI}}", "write `oci`"),
        ("services: [{name: a, url: 'http://a', type: OCI}]", "write `oci`"),
        (SERVICE + "bundles: {b: {trigger: sometimes}}", "write `manual` or `periodic`"),
        (
            "identity: {xfcc_mode: forward}",
            "write `none`, `sanitize_set`, `append_forward`, `forward_only`, `always_forward_only` or `replaced`",
        ),
        ("services: {a: {url: 'http://a', credentials: {s3_signing: {signature_version: 4a}}}}", "write `4`"),
    ],
)
def test_a_value_that_cannot_be_is_told_what_can(text: str, help: str) -> None:
    with pytest.raises(SettingsError, match="invalid enum value") as caught:
        convert(parse_yaml(text), Config)
    assert caught.value.help == help


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("adr: x", "did you mean `addr`?"),
        ("services: {a: {url: 'http://a', tpye: oci}}", "did you mean `type`?"),
        ("services: {a: {url: 'http://a', credentials: {basic: {}}}}", "its fields are `bearer`, `client_tls`, `oauth2` and `s3_signing`"),
        ("services: {a: {url: 'http://a', credentials: {bearer: {tokn: x}}}}", "did you mean `token`?"),
        (REGISTRY + "bundles: {b: {polling: {min_delay_second: 1}}}", "did you mean `min_delay_seconds`?"),
        ("cache: {enabled_for_how_long: 1}", "its fields are `allow_ttl_s`, `size` and `ttl_s`"),
        ("completely_different: 1", None),
    ],
)
def test_a_field_that_is_not_known_is_told_which_was_meant(text: str, help: str | None) -> None:
    with pytest.raises(SettingsError, match="unknown field") as caught:
        convert(parse_yaml(text), Config)
    assert caught.value.help == help
