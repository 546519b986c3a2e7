"""Bundles in an OCI registry, found as OPA finds them: the first gzipped tar layer of an image manifest.

Whatever comes is what its digest says, so what is stored elsewhere may come from there. Knows nothing of what is in a layer.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any, Final

import msgspec
from yarl import URL

from authz.services.client import Expected, ServiceClient
from authz.services.downloader import Fetched, origin_of
from authz.services.errors import Failure, ServiceError
from authz.services.references import DIGEST, Reference, parse_reference
from authz.services.resolution import DownloadSettings
from authz.services.transport import Answer

LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPES: Final = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
MAX_MANIFEST_BYTES: Final = 4 * 2**20
"""What registries are asked to take at least (OCI distribution specification 1.1, Pushing manifests)."""

_DIGEST_HEADER: Final = "Docker-Content-Digest"
_DOCKER_HUB: Final = ("docker.io", "registry-1.docker.io")
"""The one registry whose references have another host than its server."""

_SHOWN_TYPES: Final = 8
_NOT_FOUND: Final = 404


class _Layer(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]


class _Manifest(msgspec.Struct, frozen=True):
    layers: tuple[_Layer, ...] | None = None
    manifests: tuple[Any, ...] | None = None


class RegistrySource:
    """A bundle in a registry. Its ETag is the digest of its layer, in hexadecimal, as in OPA."""

    can_hold: Final = False

    def __init__(self, settings: DownloadSettings, client: ServiceClient, *, max_bytes: int) -> None:
        self.origin = origin_of("registry", client.settings.url, settings.resource)
        self._reference = parse_reference(settings.resource)
        self._namespace = _namespace(self._reference.host, URL(client.settings.url))
        self._client = client
        self._max_bytes = max_bytes
        self._known = ("", "")  # a manifest's digest, and the ETag of what it names

    async def fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool = True) -> Fetched:  # noqa: ARG002 - a registry holds nothing back
        """Ask for the manifest, and for its layer if that is another one.

        What is known is asked about with HEAD, which registries do not count as a pull.
        """
        if etag and self._known[1] == etag and await self._digest() == self._known[0]:
            return Fetched(None, etag)
        answer = await self._manifest()
        layer = _layer_of(answer.body, self._reference)
        found = layer.digest.partition(":")[2]
        self._known = (_sha256(answer.body), found)
        return Fetched(None, found) if found == etag else Fetched(await self._blob(layer), found, layer.media_type)

    async def _digest(self) -> str:
        """Return the digest that the registry gives for the manifest, empty if it gives none."""
        try:
            answer = await self._client.head(self._path("manifests", self._reference.version), _wanted())
        except ServiceError as error:
            raise self._named(error) from None
        return answer.headers.get(_DIGEST_HEADER, "")

    async def _manifest(self) -> Answer:
        expected = Expected(MAX_MANIFEST_BYTES)
        try:
            answer = await self._client.get(self._path("manifests", self._reference.version), _wanted(), expected)
        except ServiceError as error:
            raise self._named(error) from None
        promised = self._reference.digest or answer.headers.get(_DIGEST_HEADER) or ""
        if DIGEST.fullmatch(promised) and promised != _sha256(answer.body):
            raise ServiceError(Failure.TRUNCATED, f"the manifest that came for {self._reference.name} is not {promised}")
        return answer

    async def _blob(self, layer: _Layer) -> bytes:
        if layer.size > self._max_bytes:
            raise ServiceError(
                Failure.TOO_LARGE, f"the layer of {self._reference.name} has {layer.size} bytes, more than {self._max_bytes}"
            )
        expected = Expected(self._max_bytes, is_archive=True, may_be_elsewhere=True)
        answer = await self._client.get(self._path("blobs", layer.digest), {}, expected)
        if await asyncio.to_thread(_sha256, answer.body) != layer.digest:
            raise ServiceError(
                Failure.TRUNCATED, f"what came for the layer of {self._reference.name} is not {layer.digest}", http_code=answer.status
            )
        return answer.body

    def _path(self, kind: str, version: str) -> str:
        return f"v2/{self._reference.repository}/{kind}/{version}{self._namespace}"

    def _named(self, error: ServiceError) -> ServiceError:
        """Say which manifest it was about, and what a registry means by not finding one."""
        help = "see `resource`: no such repository or tag, or not for these credentials" if error.http_code == _NOT_FOUND else error.help
        return ServiceError(
            error.failure,
            f"{self._reference.name}: {error.message}",
            http_code=error.http_code,
            retry_after_s=error.retry_after_s,
            help=help,
        )


def _namespace(host: str, service: URL) -> str:
    """Return the query that tells a mirror whose repository is meant, as OPA's library does it; empty if the service is that host."""
    asked = service.authority.rpartition("@")[2]
    is_meant = host in (asked, service.host_port_subcomponent) or (host, asked) == _DOCKER_HUB
    return "" if is_meant else f"?ns={host}"


def _wanted() -> dict[str, str]:
    return {"Accept": ", ".join(MANIFEST_TYPES)}


def _layer_of(content: bytes, reference: Reference) -> _Layer:
    """Return the bundle's layer in a manifest. Raises ServiceError."""
    try:
        manifest = msgspec.json.decode(content, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_a_bundle(f"not a manifest: {str(error).lower()}", reference) from None
    if not manifest.layers:
        what = "an index of several manifests" if manifest.manifests is not None else "a manifest without layers"
        raise _not_a_bundle(what, reference)
    layer = next((layer for layer in manifest.layers if layer.media_type == LAYER_TYPE), None)
    if layer is None:
        types = ", ".join(f"`{layer.media_type[:100]}`" for layer in manifest.layers[:_SHOWN_TYPES])
        raise _not_a_bundle(f"a manifest without a layer of type {LAYER_TYPE}: has {types}", reference)
    if not DIGEST.fullmatch(layer.digest):
        raise _not_a_bundle(f"a manifest whose layer has the digest `{layer.digest[:100]}`, which is not SHA-256", reference)
    return layer


def _not_a_bundle(what: str, reference: Reference) -> ServiceError:
    text = f"{reference.name} is no bundle, but {what}"
    return ServiceError(Failure.NOT_AN_ARCHIVE, text, help=f"push the archive as a layer of type `{LAYER_TYPE}`")


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
