"""Which credentials fit together, by OPA's rules. Reads no file and obtains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authz.services.conversion import wrong
from authz.services.settings import BearerSettings, CredentialsSettings, KeySettings, Oauth2Settings, S3SigningSettings

_PROOFS: Final = ("client_secret", "signing_key", "client_assertion", "client_assertion_path")
_AWS_SOURCES: Final = ("environment_credentials", "web_identity_credentials", "profile_credentials", "metadata_credentials")


def check_credentials(where: str, credentials: CredentialsSettings, keys: Mapping[str, KeySettings], *, is_registry: bool) -> None:
    """Raise SettingsError for credentials that cannot be used."""
    given = [name for name in CredentialsSettings.__struct_fields__ if getattr(credentials, name) is not None]
    if len(given) > 1:
        raise wrong(where, f"a service has one kind of credentials, not {' and '.join(f'`{name}`' for name in given)}")
    if credentials.bearer is not None:
        _check_bearer(f"{where}.bearer", credentials.bearer)
    if credentials.oauth2 is not None:
        _check_oauth2(f"{where}.oauth2", credentials.oauth2, keys)
    if credentials.s3_signing is not None:
        _check_s3(f"{where}.s3_signing", credentials.s3_signing, is_registry=is_registry)


def _check_bearer(where: str, bearer: BearerSettings) -> None:
    if bool(bearer.token) == bool(bearer.token_path):
        raise wrong(where, "needs either `token` or `token_path`", help="an empty `${VARIABLE}` is no token")
    if any(char < " " for char in bearer.token + bearer.scheme):
        raise wrong(where, "the token has a line break or another control character")


def _check_oauth2(where: str, oauth2: Oauth2Settings, keys: Mapping[str, KeySettings]) -> None:
    if not oauth2.token_url.startswith("https://"):
        raise wrong(f"{where}.token_url", "has to be an https URL")
    proofs = [name for name in _PROOFS if getattr(oauth2, name)]
    if oauth2.grant_type == "jwt_bearer":
        if not oauth2.signing_key:
            raise wrong(f"{where}.signing_key", "grant type `jwt_bearer` needs one")
    elif len(proofs) != 1:
        raise wrong(where, f"needs one of {', '.join(f'`{name}`' for name in _PROOFS)}, and only one")
    elif proofs[0] != "signing_key" and not oauth2.client_id:
        raise wrong(f"{where}.client_id", f"`{proofs[0]}` needs one")
    if oauth2.signing_key:
        key = keys.get(oauth2.signing_key)
        if key is None:
            raise wrong(f"{where}.signing_key", f"there is no key `{oauth2.signing_key}`", help="add it to `keys`")
        if not key.private_key:
            raise wrong(f"{where}.signing_key", f"key `{oauth2.signing_key}` has no `private_key` to sign with")
    try:
        bytes.fromhex(oauth2.thumbprint)
    except ValueError:
        raise wrong(f"{where}.thumbprint", "is not hexadecimal") from None


def _check_s3(where: str, signing: S3SigningSettings, *, is_registry: bool) -> None:
    if signing.service and is_registry != (signing.service == "ecr"):
        raise wrong(f"{where}.service", f"`{signing.service}` does not go with this service", help="`ecr` goes with `type: oci` alone")
    if all(getattr(signing, name) is None for name in _AWS_SOURCES):
        raise wrong(where, f"says nowhere to take keys from: {', '.join(f'`{name}`' for name in _AWS_SOURCES)}")
