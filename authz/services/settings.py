"""What an operator can write about control planes: OPA's names and shapes. Values; what they mean together is `resolution`'s."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from authz.services.conversion import Section

MAX_SECONDS: Final = 31_536_000
DEFAULT_SIZE_LIMIT_BYTES: Final = 2**30
"""OPA's bound for one file of a bundle, unpacked."""

Text = Annotated[str, msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)]
LongPollSeconds = Annotated[float, msgspec.Meta(ge=1, le=MAX_SECONDS)]
Trigger: TypeAlias = Literal["periodic", "manual"]
"""Whether something happens by itself; where it is not given, as for discovery, else periodic."""
Algorithm: TypeAlias = Literal[
    "EdDSA", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"
]


class BearerSettings(Section, frozen=True, forbid_unknown_fields=True):
    """A token, as it is or in a file that is read for every request. Basic authentication is `scheme: Basic` and the encoded pair."""

    token: str = ""
    token_path: str = ""
    scheme: Text = "Bearer"


class ClientTlsSettings(Section, frozen=True, forbid_unknown_fields=True):
    """A client's certificate and its key, files that are read again once they change."""

    cert: Text
    private_key: Text
    private_key_passphrase: str = ""
    ca_cert: str = ""
    system_ca_required: bool = False
    cert_reread_interval_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Oauth2Settings(Section, frozen=True, forbid_unknown_fields=True):
    """A token that is obtained from another server: client credentials (RFC 6749) or a signed assertion (RFC 7523)."""

    token_url: Text
    grant_type: Literal["client_credentials", "jwt_bearer"] = "client_credentials"
    client_id: str = ""
    client_secret: str = ""
    signing_key: str = ""
    client_assertion: str = ""
    client_assertion_path: str = ""
    client_assertion_type: Text = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    scopes: tuple[str, ...] = ()
    additional_claims: dict[str, Any] = msgspec.field(default_factory=dict)
    additional_headers: dict[str, str] = msgspec.field(default_factory=dict)
    additional_parameters: dict[str, str] = msgspec.field(default_factory=dict)
    include_jti_claim: bool = False
    thumbprint: str = ""


class EnvironmentCredentials(Section, frozen=True, forbid_unknown_fields=True):
    """AWS keys from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION."""


class ProfileCredentials(Section, frozen=True, forbid_unknown_fields=True):
    """AWS keys from a file of profiles; the file and the profile may come from the environment."""

    path: str = ""
    profile: str = ""
    aws_region: str = ""


class MetadataCredentials(Section, frozen=True, forbid_unknown_fields=True):
    """AWS keys of the machine or container, from its metadata service."""

    aws_region: str = ""
    iam_role: str = ""


class WebIdentityCredentials(Section, frozen=True, forbid_unknown_fields=True):
    """AWS keys for a Kubernetes service account: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE."""

    aws_region: str = ""
    session_name: Text = "open-policy-agent"
    aws_domain: Text = "amazonaws.com"


class S3SigningSettings(Section, frozen=True, forbid_unknown_fields=True):
    """AWS Signature Version 4; where the keys come from is tried in this order. Without a `service`, it is S3, or ECR for a registry."""

    service: str = ""
    signature_version: Literal["4"] = "4"
    environment_credentials: EnvironmentCredentials | None = None
    web_identity_credentials: WebIdentityCredentials | None = None
    profile_credentials: ProfileCredentials | None = None
    metadata_credentials: MetadataCredentials | None = None


class CredentialsSettings(Section, frozen=True, forbid_unknown_fields=True):
    """Who we are to a service: at most one of these."""

    bearer: BearerSettings | None = None
    client_tls: ClientTlsSettings | None = None
    oauth2: Oauth2Settings | None = None
    s3_signing: S3SigningSettings | None = None


class TlsSettings(Section, frozen=True, forbid_unknown_fields=True):
    """Who may be a service: the authorities in a file, and those of the system besides if they are wanted."""

    ca_cert: str = ""
    system_ca_required: bool = False


class ServiceSettings(Section, frozen=True, forbid_unknown_fields=True):
    """A control plane, or a registry (`type: oci`). `response_header_timeout_seconds` is for all that precedes the answer's body."""

    url: Text
    name: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    response_header_timeout_seconds: Seconds = 10.0
    allow_insecure_tls: bool = False
    tls: TlsSettings = TlsSettings()
    credentials: CredentialsSettings = CredentialsSettings()
    type: Literal["", "oci"] = ""

    @property
    def is_registry(self) -> bool:
        """Whether bundles are artifacts of an OCI registry."""
        return self.type == "oci"


class PollingSettings(Section, frozen=True, forbid_unknown_fields=True):
    """How often a bundle is asked for: both bounds of the delay or none of them."""

    min_delay_seconds: Seconds | None = None
    max_delay_seconds: Seconds | None = None
    long_polling_timeout_seconds: LongPollSeconds | None = None


class SigningSettings(Section, frozen=True, forbid_unknown_fields=True):
    """How a bundle's signature is verified; without `keyid`, the signature names its key and may be missing."""

    keyid: str = ""
    scope: str = ""
    exclude_files: tuple[str, ...] = ()


class BundleSettings(Section, frozen=True, forbid_unknown_fields=True):
    """A policy bundle. `max_age_seconds` (ours): the longest that what was activated may go without word of its service."""

    service: str = ""
    resource: str = ""
    polling: PollingSettings = PollingSettings()
    trigger: Trigger | None = None
    persist: bool = False
    signing: SigningSettings | None = None
    size_limit_bytes: int = 0
    max_age_seconds: Seconds | None = None


class DiscoverySettings(Section, frozen=True, forbid_unknown_fields=True):
    """The bundle that holds the rest of the configuration. `name` and `prefix` are OPA's older form of `resource`."""

    service: str = ""
    resource: str = ""
    name: str = ""
    prefix: str = ""
    decision: str = ""
    polling: PollingSettings = PollingSettings()
    trigger: Trigger | None = None
    persist: bool = False
    signing: SigningSettings | None = None


class KeySettings(Section, frozen=True, forbid_unknown_fields=True):
    """A key: public PEM or shared secret to verify with, a private one to sign with."""

    key: str = ""
    private_key: str = ""
    algorithm: Algorithm = "RS256"
    scope: str = ""


class StatusSettings(Section, frozen=True, forbid_unknown_fields=True):
    """Where reports of the state go."""

    service: str = ""
    partition_name: str = ""
    console: bool = False
    prometheus: bool = False
    trigger: Trigger | None = None


class ControlPlaneSettings(Section, frozen=True, forbid_unknown_fields=True):
    """The part of OPA's configuration that is about control planes."""

    services: dict[str, ServiceSettings] | tuple[ServiceSettings, ...] = msgspec.field(default_factory=dict)
    bundles: dict[str, BundleSettings] = msgspec.field(default_factory=dict)
    keys: dict[str, KeySettings] = msgspec.field(default_factory=dict)
    discovery: DiscoverySettings | None = None
    status: StatusSettings | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    persistence_directory: Text | None = None
