"""AWS keys from where they are kept, and requests signed with them (Signature Version 4). Knows nothing of what is in a bucket."""

from __future__ import annotations

import asyncio
import configparser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from authz.rego.builtins.sigv4 import AwsKeys, Scope, Signable, sha256_hex, signed_headers
from authz.regular_files import open_regular
from authz.services.errors import Failure, ServiceError
from authz.services.settings import ProfileCredentials
from authz.services.transport import Answer, Request

S3: Final = "s3"
"""The service that requests are signed for, if the configuration names none."""

MAX_PROFILES_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Signer:
    """Keys and the region that they are used for."""

    keys: AwsKeys
    region: str


class KeySource(Protocol):
    """Where AWS keys come from."""

    async def signer(self) -> Signer:
        """Return the keys as they are now. Raises ServiceError."""

    def refused(self) -> None:
        """Be told that the last keys were not accepted."""


class EnvironmentKeys:
    """Keys in variables of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def signer(self) -> Signer:
        """Return the keys."""
        found = self._environment
        missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION") if not found.get(name)]
        if missing:
            raise no_keys(f"no {missing[0]} set in environment")
        token = found.get("AWS_SESSION_TOKEN") or found.get("AWS_SECURITY_TOKEN") or ""
        return Signer(AwsKeys(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], token), found["AWS_REGION"])

    def refused(self) -> None:
        """Remember nothing."""


class ProfileKeys:
    """Keys in a file of profiles, read for every request: other programs renew them there."""

    def __init__(self, settings: ProfileCredentials, environment: Mapping[str, str]) -> None:
        home = environment.get("HOME", "")
        default = f"{home}/.aws/credentials"
        self._path = settings.path or environment.get("AWS_SHARED_CREDENTIALS_FILE") or default
        self._profile = settings.profile or environment.get("AWS_PROFILE") or "default"
        self._region = settings.aws_region or environment.get("AWS_REGION") or ""

    async def signer(self) -> Signer:
        """Return the keys."""
        if not self._region:
            raise no_keys("no region: set `aws_region` or AWS_REGION")
        return Signer(await asyncio.to_thread(self._read), self._region)

    def refused(self) -> None:
        """Remember nothing."""

    def _read(self) -> AwsKeys:
        profiles = configparser.RawConfigParser(strict=False)
        try:
            with open_regular(self._path) as file:
                profiles.read_string(file.read(MAX_PROFILES_BYTES).decode())
            found = profiles[self._profile]
            return AwsKeys(found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token", ""))
        except OSError as error:
            raise no_keys(f"{self._path}: {(error.strerror or str(error)).lower()}") from None
        except KeyError as error:
            raise no_keys(f"{self._path}: profile `{self._profile}`: there is no {error.args[0]}") from None
        except (configparser.Error, UnicodeDecodeError):
            raise no_keys(f"{self._path}: is no file of profiles") from None


class AwsSigning:
    """Requests signed with the keys of the first source that has some. OPA's order of sources is the caller's."""

    def __init__(self, service: str, sources: Sequence[KeySource], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._service = service
        self._sources = sources
        self._now = now

    async def authorize(self, request: Request) -> Request:
        """Return the request with its signature. Raises ServiceError."""
        return sign(request, await self.signer(), self._service, self._now())

    async def signer(self) -> Signer:
        """Return the keys of the first source that has some. Raises ServiceError with every source's reason."""
        reasons = []
        for source in self._sources:
            try:
                return await source.signer()
            except ServiceError as error:
                reasons.append(error.message)
        raise no_keys("; ".join(reasons))

    async def refused(self, request: Request, answer: Answer) -> bool:  # noqa: ARG002 - whatever was refused and how
        """Have keys that were remembered forgotten."""
        for source in self._sources:
            source.refused()
        return False


def sign(request: Request, signer: Signer, service: str, now: datetime) -> Request:
    """Return a request with its signature; it covers the body."""
    url = request.url
    query = "&".join(sorted(part if "=" in part else f"{part}=" for part in url.raw_query_string.split("&") if part))
    signable = Signable(request.method, url.host_port_subcomponent or "", url.raw_path, query, sha256_hex(request.body))
    headers = {name: value for name, value in request.headers.items() if name.lower() not in ("authorization", "host")}
    scope = Scope(now.strftime("%Y%m%dT%H%M%SZ"), signer.region, service)
    return replace(request, headers=signed_headers(signable, headers, signer.keys, scope))


def no_keys(text: str) -> ServiceError:
    """Return the error of a source."""
    return ServiceError(Failure.CREDENTIALS, f"AWS credentials: {text}")
