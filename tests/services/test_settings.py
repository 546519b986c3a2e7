"""OPA's configuration of control planes: what it means, and the one message for what it cannot mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from authz.bundle.yaml_text import parse_yaml
from authz.config import ConfigError, load_config
from authz.services.conversion import SettingsError, convert
from authz.services.resolution import ControlPlane, DownloadSettings, StatusTarget, resolve
from authz.services.settings import ControlPlaneSettings
from authz.services.substitution import substitute

SERVICE = "services: {acme: {url: https://acme.test}}\n"
REGISTRY = "services: {r: {url: 'https://ghcr.io', type: oci}}\n"
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


def plane(text: str) -> ControlPlane:
    return resolve(convert(parse_yaml(text), ControlPlaneSettings))


def test_opas_example_is_understood() -> None:
    """The configuration of OPA's documentation, in short."""
    found = plane("""
services:
  acmecorp:
    url: https://example.com/control-plane-api/v1
    response_header_timeout_seconds: 5
    credentials: {bearer: {token: bGFza2RqZmxha3NkamZsa2Fqc2Rsa2ZqYWtsc2RqZmtramRmYWxkc2tm}}
labels: {app: myapp, region: west}
bundles:
  authz:
    service: acmecorp
    resource: bundles/http/example/authz.tar.gz
    persist: true
    polling: {min_delay_seconds: 60, max_delay_seconds: 120, long_polling_timeout_seconds: 10}
    signing: {keyid: global_key, scope: read, exclude_files: ["*.md"]}
keys:
  global_key: {algorithm: HS256, key: secret, scope: read}
discovery: {resource: /configuration/example/discovery}
status: {service: acmecorp, partition_name: foo}
persistence_directory: /var/opa
""")
    bundle = found.bundles["authz"]
    assert (bundle.service, bundle.resource, bundle.long_polling_s) == ("acmecorp", "bundles/http/example/authz.tar.gz", 10)
    assert (bundle.persist, bundle.size_limit_bytes) == (True, 2**30)
    assert found.discovery is not None
    assert (found.discovery.name, found.discovery.service) == ("discovery", "acmecorp")
    assert found.discovery.resource == "configuration/example/discovery"
    assert found.status == StatusTarget("acmecorp", "status/foo", console=False, prometheus=False, is_manual=False)
    assert (found.labels, found.persistence_directory) == ({"app": "myapp", "region": "west"}, "/var/opa")


def test_what_is_not_said_is_as_in_opa() -> None:
    found = plane(SERVICE + "bundles: {authz: {}}\nstatus: {}")
    assert found.bundles["authz"] == DownloadSettings("authz", "acme", "bundles/authz")
    assert (found.bundles["authz"].min_delay_s, found.bundles["authz"].max_delay_s) == (60, 120)
    assert found.status == StatusTarget("acme", "status", console=False, prometheus=False, is_manual=False)


def test_the_first_service_of_a_list_is_the_default() -> None:
    found = plane("services: [{name: z, url: 'http://z'}, {name: a, url: 'http://a'}]\nbundles: {b: {}}")
    assert list(found.services) == ["z", "a"]
    assert found.bundles["b"].service == "z"


def test_a_file_needs_no_service() -> None:
    bundle = plane("bundles: {b: {resource: 'file:///srv/b.tar.gz'}}").bundles["b"]
    assert (bundle.service, bundle.resource) == (None, "/srv/b.tar.gz")


def test_the_older_form_of_discovery_has_a_name_and_a_prefix() -> None:
    discovery = plane(SERVICE + "discovery: {name: example, prefix: /configuration}").discovery
    assert discovery is not None
    assert (discovery.name, discovery.resource) == ("example", "configuration/example")


def test_discoverys_trigger_is_inherited() -> None:
    found = plane(SERVICE + "discovery: {resource: d, trigger: manual}\nbundles: {b: {}}\nstatus: {}")
    assert found.bundles["b"].is_manual
    assert found.status is not None
    assert found.status.is_manual


def test_a_console_alone_needs_no_service() -> None:
    assert plane("status: {console: true}").status == StatusTarget(None, "status", console=True, prometheus=False, is_manual=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [{url: 'http://a'}]", "field `services[0]`: a service in a list needs a `name`"),
        ("services: [{name: a, url: 'http://a'}, {name: a, url: 'http://b'}]", "field `services[1].name`: there are two services `a`"),
        ("services: {a: {}}", "object missing required field `url`"),
        ("services: {a: {url: acme.test}}", "field `services.a.url`: `acme.test` is not the URL of a server"),
        ("services: {a: {url: 'ftp://acme.test'}}", "field `services.a.url`"),
        ("services: {a: {url: 'http://a', tpye: oci}}", "unknown field `services[...].tpye`"),
        ("services: {a: {url: 'http://a', type: ocy}}", "field `services[...].type`: invalid enum value 'ocy'"),
        ("services: {a: {url: 'http://me:pass@a/v2', type: oci}}", "`http://me:xxxxx@a/v2` has a path"),
        ("services: {a: {url: 'ftp://me:pass@a/v2'}}", "`ftp://me:xxxxx@a/v2` is not the URL of a server"),
        ("services: {a: {url: 'http://a/v2', type: oci}}", "field `services.a.url`: `http://a/v2` has a path"),
        (
            "services: {a: {url: 'http://a', type: oci, credentials: {s3_signing: {service: s3, environment_credentials: {}}}}}",
            "field `services.a.credentials.s3_signing.service`: `s3` does not go with this service",
        ),
        (REGISTRY + "bundles: {b: {}}", "field `bundles.b.resource`: `bundles/b` names nothing in a registry: has neither a tag nor"),
        (REGISTRY + "bundles: {b: {resource: 'p:1'}}", "does not begin with the registry's host"),
        (REGISTRY + "discovery: {resource: 'ghcr.io/P:1'}", "field `discovery.resource`: `ghcr.io/P:1` names nothing in a registry"),
        (REGISTRY + "status: {}", "field `status.service`: `r` is a registry, which takes no reports"),
        ("services: {a: {url: 'http://a', headers: {'x y': '1'}}}", "field `services.a.headers`: `x y` cannot be sent as a header"),
        ('services: {a: {url: "http://a", headers: {x: "1\\r\\ny: 2"}}}', "field `services.a.headers`: `x` cannot be sent as a header"),
        ("decision_logs: {console: true}", "field `decision_logs`: authz does not support this part of OPA's configuration"),
        ("bundle: {name: b}", "field `bundle`: authz does not support"),
        ("bundles: {b: {}}", "field `bundles.b`: there is no service to download from"),
        (SERVICE + "bundles: {b: {service: other}}", "field `bundles.b.service`: there is no service `other`"),
        (SERVICE + "bundles: {b: {resource: 'file://b.tar.gz'}}", "field `bundles.b.resource`: `file://b.tar.gz` is not an absolute path"),
        (SERVICE + 'bundles: {b: {resource: "file:///a\\0b"}}', "is not an absolute path"),
        (SERVICE + "bundles: {'a/../b': {}}", "field `bundles`: `a/../b` cannot be the name of a bundle"),
        (SERVICE + 'bundles: {"a\\tb": {}}', "cannot be the name of a bundle"),
        (SERVICE + "bundles: {b: {polling: {min_delay_seconds: 1}}}", "go together"),
        (SERVICE + "bundles: {b: {polling: {min_delay_seconds: 9, max_delay_seconds: 1}}}", "`max_delay_seconds` 1 is less than"),
        (SERVICE + "bundles: {b: {polling: {long_polling_timeout_seconds: 0}}}", "expected `float` >= 1"),
        (SERVICE + "bundles: {b: {signing: {keyid: k}}}", "field `bundles.b.signing.keyid`: there is no key `k`"),
        (
            SERVICE + "bundles: {b: {trigger: manual}}\ndiscovery: {resource: d, trigger: periodic}",
            "trigger mode mismatch: manual and periodic",
        ),
        (SERVICE + "bundles: {b: {trigger: sometimes}}", "invalid enum value 'sometimes'"),
        (SERVICE + "discovery: {}", "field `discovery.resource`: is missing"),
        ("services: {a: {url: 'http://a'}, b: {url: 'http://b'}}\ndiscovery: {resource: d}", "field `discovery.service`: is missing"),
        ("status: {}", "field `status`: says nowhere to report to"),
        (SERVICE + "status: {service: x}", "field `status.service`: there is no service `x`"),
        ("keys: {k: {}}", "field `keys.k`: neither `key` nor `private_key` is given"),
        ("keys: {k: {key: secret}}", "field `keys.k.key`: algorithm `RS256` needs a PEM block"),
        ("keys: {k: {key: '-----BEGIN PUBLIC KEY----- AAAA -----END PUBLIC KEY-----'}}", "the PEM block lost its line breaks"),
        ("keys: {k: {key: secret, algorithm: none}}", "invalid enum value 'none'"),
        ("labels: {a: 1}", "expected `str`, got `int`"),
    ],
)
def test_a_mistake_is_one_message_that_names_the_field(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        plane(text)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("{bearer: {token: a}, oauth2: {token_url: 'https://t', client_id: i, client_secret: s}}", "not `bearer` and `oauth2`"),
        ("{bearer: {}}", "needs either `token` or `token_path`"),
        ("{bearer: {token: a, token_path: /b}}", "needs either `token` or `token_path`"),
        ("{client_tls: {cert: /c}}", "missing required field `private_key`"),
        ("{oauth2: {token_url: 'http://t', client_id: i, client_secret: s}}", "has to be an https URL"),
        ("{oauth2: {token_url: 'https://t', client_id: i}}", "needs one of `client_secret`"),
        ("{oauth2: {token_url: 'https://t', client_id: i, client_secret: s, client_assertion: a}}", "and only one"),
        ("{oauth2: {token_url: 'https://t', client_secret: s}}", "`client_secret` needs one"),
        ("{oauth2: {token_url: 'https://t', grant_type: jwt_bearer}}", "`jwt_bearer` needs one"),
        ("{oauth2: {token_url: 'https://t', signing_key: k}}", "there is no key `k`"),
        ("{oauth2: {token_url: 'https://t', signing_key: public}}", "key `public` has no `private_key`"),
        ("{oauth2: {token_url: 'https://t', client_id: i, client_secret: s, thumbprint: xyz}}", "is not hexadecimal"),
        ("{oauth2: {token_url: 'https://t', aws_kms: {name: k}}}", "authz does not support this part"),
        ("{s3_signing: {}}", "says nowhere to take keys from"),
        ("{s3_signing: {service: ecr, environment_credentials: {}}}", "`ecr` does not go with this service"),
        ("{s3_signing: {signature_version: 4a, environment_credentials: {}}}", "invalid enum value '4a'"),
        ("{s3_signing: {sso_credentials: {}}}", "authz does not support this part"),
        ("{gcp_metadata: {scopes: [a]}}", "authz does not support this part"),
        ("{azure_managed_identity: {}}", "authz does not support this part"),
        ("{plugin: mine}", "authz does not support this part"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused(credentials: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        plane(f"services: {{a: {{url: 'https://a', credentials: {credentials}}}}}\nkeys: {{public: {{algorithm: HS256, key: k}}}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token: ${TOKEN}", "token: secret"),
        ("a${TOKEN}b${TOKEN}c", "asecretbsecretc"),
        ("x: ${MISSING}!", "x: !"),
        ("x: ${}!", "x: !"),
        ("x: $TOKEN ${TOKEN", "x: $TOKEN ${TOKEN"),
        ("x: ${TO\nKEN}", "x: ${TO\nKEN}"),
    ],
)
def test_variables_are_replaced_as_opa_replaces_them(text: str, expected: str) -> None:
    assert substitute(text, {"TOKEN": "secret"}) == expected


def test_the_configuration_file_may_hold_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "authz.yaml"
    file.write_text("services: {acme: {url: '${URL}'}}\nbundles: {b: {}}\n")
    config = load_config(file, {}, {"URL": "https://acme.test"})
    assert resolve(config).services["acme"].url == "https://acme.test"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bundles: {b: {}}", "authz.yaml: field `bundles.b`: there is no service to download from"),
        ("plugins: {x: {}}", "authz.yaml: field `plugins`: authz does not support this part of OPA's configuration"),
    ],
)
def test_the_file_is_blamed_for_what_it_says(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "authz.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config(tmp_path / "authz.yaml", {"policies": ("p",)})
    assert caught.value.help


def test_a_key_for_signatures_needs_its_public_part() -> None:
    document: dict[str, Any] = {
        "services": {"a": {"url": "http://a"}},
        "keys": {"k": {"private_key": PEM}},
        "bundles": {"b": {"signing": {"keyid": "k"}}},
    }
    with pytest.raises(SettingsError, match="has no `key` to verify with"):
        resolve(convert(document, ControlPlaneSettings))
