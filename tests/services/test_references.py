"""What names something in a registry, and what does not."""

from __future__ import annotations

import re

import pytest

from authz.services.references import Reference, parse_reference

DIGEST = f"sha256:{'a1' * 32}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "version"),
    [
        ("ghcr.io/acme/policies:1.0", "ghcr.io", "acme/policies", "1.0"),
        ("localhost:5000/p:latest", "localhost:5000", "p", "latest"),
        ("127.0.0.1:5000/a/b/c:v_1.2-rc", "127.0.0.1:5000", "a/b/c", "v_1.2-rc"),
        ("[::1]:5000/p:1", "[::1]:5000", "p", "1"),
        (f"ghcr.io/acme/policies@{DIGEST}", "ghcr.io", "acme/policies", DIGEST),
        (f"ghcr.io/acme/policies:1.0@{DIGEST}", "ghcr.io", "acme/policies", DIGEST),
        ("r.test/a.b_c__d-e---f/g:1", "r.test", "a.b_c__d-e---f/g", "1"),
    ],
)
def test_a_reference_has_a_host_a_repository_and_a_version(text: str, host: str, repository: str, version: str) -> None:
    assert parse_reference(text) == Reference(host, repository, version)


def test_its_name_in_the_registry_shows_whether_it_can_move() -> None:
    assert parse_reference("r.test/p:1").name == "p:1"
    assert parse_reference(f"r.test/p:1@{DIGEST}").name == f"p@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with the registry's host"),
        ("policies:1", "does not begin with the registry's host"),
        ("/policies:1", "does not begin with the registry's host"),
        ("https://ghcr.io/acme/policies:1", "does not begin with the registry's host"),
        ("me@ghcr.io/acme/policies:1", "does not begin with the registry's host"),
        ("ghcr.io/acme/policies", "has neither a tag nor a digest"),
        ("ghcr.io/acme/policies:", "`` is not a tag"),
        ("ghcr.io/acme/policies:-1", "`-1` is not a tag"),
        (f"ghcr.io/acme/policies:{'1' * 129}", "is not a tag"),
        ("ghcr.io/acme/policies:1?x=y", "`1?x=y` is not a tag"),
        ("ghcr.io/acme/policies:1\n", "is not a tag"),
        ("ghcr.io/acme/policies@sha256:abc", "`sha256:abc` is not a digest"),
        (f"ghcr.io/acme/policies@sha512:{'a1' * 64}", "is not a digest"),
        (f"ghcr.io/acme/policies@{DIGEST.upper()}", "is not a digest"),
        ("ghcr.io/Acme/policies:1", "`Acme/policies` is not a repository"),
        ("ghcr.io/../policies:1", "`../policies` is not a repository"),
        ("ghcr.io/a//b:1", "`a//b` is not a repository"),
        ("ghcr.io/a/:1", "`a/` is not a repository"),
        ("ghcr.io/:1", "`` is not a repository"),
        (f"ghcr.io/{'a/' * 1000}a:1", "is longer than 1,000 characters"),
    ],
)
def test_what_is_none_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_reference(text)
