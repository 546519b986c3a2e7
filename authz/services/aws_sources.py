"""AWS keys that have to be asked for and expire: of the machine, of the container, of a Kubernetes service account.

Knows the protocols of those who hand out keys (EC2 metadata v2, container credentials, STS), not what is signed.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import msgspec
from yarl import URL

from authz.rego.builtins.sigv4 import AwsKeys
from authz.services.aws import EnvironmentKeys, KeySource, ProfileKeys, Signer, no_keys
from authz.services.credentials import read_secret
from authz.services.settings import MetadataCredentials, S3SigningSettings, WebIdentityCredentials
from authz.services.transport import Request, Send

RENEWED_BEFORE: Final = timedelta(minutes=5)
_EC2: Final = "http://169.254.169.254"
_CONTAINER: Final = "http://169.254.170.2"
_TOKEN_TTL_S: Final = 300
_STS_VERSION: Final = "2011-06-15"


def key_sources(settings: S3SigningSettings, environment: Mapping[str, str], send: Send) -> list[KeySource]:
    """Return the sources that are configured, in OPA's order."""
    sources: list[KeySource] = []
    if settings.environment_credentials is not None:
        sources.append(EnvironmentKeys(environment))
    if settings.web_identity_credentials is not None:
        sources.append(WebIdentityKeys(settings.web_identity_credentials, environment, send))
    if settings.profile_credentials is not None:
        sources.append(ProfileKeys(settings.profile_credentials, environment))
    if settings.metadata_credentials is not None:
        sources.append(MetadataKeys(settings.metadata_credentials, environment, send))
    return sources


@dataclass(frozen=True, slots=True)
class _Lent:
    """Keys until a time."""

    keys: AwsKeys = field(repr=False)
    expires: datetime

    def is_fresh(self) -> bool:
        return self.expires - datetime.now(UTC) > RENEWED_BEFORE


class _LentKeys(ABC):
    """Keys that are kept until shortly before they expire; several requests that need new ones wait for the same."""

    def __init__(self, region: str, environment: Mapping[str, str], send: Send) -> None:
        self._region = region or environment.get("AWS_REGION", "")
        self._environment = environment
        self._send = send
        self._lent: _Lent | None = None
        self._lock = asyncio.Lock()

    async def signer(self) -> Signer:
        """Return the keys, new ones if those at hand expire soon."""
        if not self._region:
            raise no_keys("no region: set `aws_region` or AWS_REGION")
        async with self._lock:
            if self._lent is None or not self._lent.is_fresh():
                self._lent = await self._borrow()
            return Signer(self._lent.keys, self._region)

    def refused(self) -> None:
        """Ask for other keys the next time."""
        self._lent = None

    @abstractmethod
    async def _borrow(self) -> _Lent:
        """Return new keys. Raises ServiceError."""

    async def _ask(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> str:
        answer = await self._send(Request(method, URL(url, encoded=True), headers or {}, body))
        if answer.status != 200:
            raise no_keys(f"{URL(url).origin()} replied with {answer.status} {answer.reason}")
        return answer.body.decode("utf-8", "replace")


class _MetadataAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str
    expiration: datetime


class MetadataKeys(_LentKeys):
    """The keys of the container or of the machine that this runs on."""

    def __init__(self, settings: MetadataCredentials, environment: Mapping[str, str], send: Send) -> None:
        super().__init__(settings.aws_region, environment, send)
        self._role = settings.iam_role

    async def _borrow(self) -> _Lent:
        text = await (self._of_container() if self._is_container() else self._of_machine())
        try:
            found = msgspec.json.decode(text, type=_MetadataAnswer)
        except msgspec.DecodeError as error:
            raise no_keys(f"the metadata service's answer holds no keys: {str(error).lower()}") from None
        expires = found.expiration if found.expiration.tzinfo else found.expiration.replace(tzinfo=UTC)
        return _Lent(AwsKeys(found.access_key_id, found.secret_access_key, found.token), expires)

    def _is_container(self) -> bool:
        names = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
        return any(self._environment.get(name) for name in names)

    async def _of_container(self) -> str:
        relative = self._environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = f"{_CONTAINER}{relative}" if relative else self._environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        path = self._environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        token = await read_secret(path) if path else self._environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        return await self._ask("GET", url, {"Authorization": token} if token else None)

    async def _of_machine(self) -> str:
        base = self._environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _EC2).rstrip("/")
        token = await self._ask("PUT", f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_TTL_S)})
        headers = {"X-aws-ec2-metadata-token": token.strip()}
        roles = f"{base}/latest/meta-data/iam/security-credentials/"
        role = self._role or (await self._ask("GET", roles, headers)).partition("\n")[0].strip()
        return await self._ask("GET", roles + role, headers)


class WebIdentityKeys(_LentKeys):
    """The keys of a role that the token of a Kubernetes service account stands for."""

    def __init__(self, settings: WebIdentityCredentials, environment: Mapping[str, str], send: Send) -> None:
        super().__init__(settings.aws_region, environment, send)
        default = f"https://sts.{self._region}.{settings.aws_domain}"
        self._url = environment.get("AWS_ENDPOINT_URL_STS") or default
        self._session_name = settings.session_name

    async def _borrow(self) -> _Lent:
        role, path = (self._environment.get(name) for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))
        if not role or not path:
            raise no_keys("no AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE set in environment")
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": _STS_VERSION,
            "RoleSessionName": self._session_name,
            "RoleArn": role,
            "WebIdentityToken": await read_secret(path),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/xml"}
        text = await self._ask("POST", self._url.rstrip("/") + "/", headers, urlencode(form).encode())
        keys = AwsKeys(_element(text, "AccessKeyId"), _element(text, "SecretAccessKey"), _element(text, "SessionToken"))
        try:
            expires = datetime.fromisoformat(_element(text, "Expiration"))
        except ValueError:
            raise no_keys("the answer of STS has no time that its keys expire") from None
        return _Lent(keys, expires if expires.tzinfo else expires.replace(tzinfo=UTC))


def _element(text: str, name: str) -> str:
    """Return the text of an element. Keys have no character that XML would escape."""
    found = re.search(rf"<{name}>([^<&]+)</{name}>", text)
    if found is None:
        raise no_keys(f"the answer of STS has no {name}")
    return found[1].strip()
