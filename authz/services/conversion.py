"""Documents → frozen settings; a mistake is one message that names the field. Knows no field but those of OPA that have no counterpart."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from authz.errors import AuthzError, ErrorCode
from authz.services.schema import help_for_name, help_for_value

UNSUPPORTED: Final = {
    "bundle": "write `bundles: {<name>: …}`",
    "caching": "",
    "decision_logs": "",
    "default_authorization_decision": "",
    "default_decision": "set `entrypoint`",
    "distributed_tracing": "",
    "nd_builtin_cache": "",
    "plugins": "the options of `envoy_ext_authz_grpc` are fields of their own: `addr`, `entrypoint`",
    "server": "set `addr` and `admin_addr`",
    "storage": "",
    "assume_role_credentials": "use environment_credentials, web_identity_credentials, profile_credentials or metadata_credentials",
    "sso_credentials": "use environment_credentials, web_identity_credentials, profile_credentials or metadata_credentials",
    "aws_kms": "use client_secret, signing_key, client_assertion or client_assertion_path",
    "aws_signing": "use client_secret, signing_key, client_assertion or client_assertion_path",
    "azure_keyvault": "use client_secret, signing_key, client_assertion or client_assertion_path",
    "azure_signing": "use client_secret, signing_key, client_assertion or client_assertion_path",
    "gcp_metadata": "use bearer, client_tls, oauth2 or s3_signing",
    "azure_managed_identity": "use bearer, client_tls, oauth2 or s3_signing",
    "plugin": "",
    "prometheus_config": "",
}
"""Names that OPA's configuration has and ours has not, and what to write instead."""

T = TypeVar("T")


class SettingsError(AuthzError):
    """Settings cannot be used; the message names the field."""

    code = ErrorCode.CONFIG


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the configuration: a name that is not known is an error, not a default."""


def convert(document: Any, kind: type[T]) -> T:
    """Return a document as settings. Raises SettingsError."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise _in_our_words(str(error), kind) from error


def wrong(field: str, text: str, *, help: str | None = None) -> SettingsError:
    """Return the error for a field."""
    return SettingsError(f"field `{field}`: {text}", help=help)


def _in_our_words(message: str, kind: type) -> SettingsError:
    """Turn ``Expected `int`, got `str` - at `$.cache.size` `` into ``field `cache.size`: expected `int`, got `str` ``."""
    text, _, path = message.partition(" - at `$")
    text = text[:1].lower() + text[1:]
    field = path.rstrip("`").lstrip(".")
    if text.startswith("invalid enum value"):
        return wrong(field, text, help=help_for_value(kind, field))
    if not text.startswith("object contains unknown field"):
        return SettingsError(f"field `{field}`: {text}" if field else text)
    name = text.split("`")[1]
    full = f"{field}.{name}" if field else name
    if name in UNSUPPORTED:
        return wrong(full, "authz does not support this part of OPA's configuration", help=UNSUPPORTED[name] or "remove it")
    return SettingsError(f"unknown field `{full}`", help=help_for_name(kind, field, name))
