"""A registry of OCI artifacts: what was pushed is served, to whoever shows a token if that is wanted."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

from aiohttp import web

from authz.services.registry import LAYER_TYPE

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
REPOSITORY: Final = "team/policies"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(content: bytes, media_type: str = LAYER_TYPE, **fields: Any) -> dict[str, Any]:
    """Return the description of a layer."""
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **fields}


def manifest(*layers: dict[str, Any], **fields: Any) -> bytes:
    empty = layer(b"{}", EMPTY_TYPE)
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": empty, "layers": list(layers), **fields}).encode()


class Registry:
    """Answers the requests of a pull (OCI distribution specification 1.1). What it does may be changed at any time."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.gives_digests = True
        self.blobs_elsewhere: str | None = None
        """Where requests for blobs are sent to."""
        self.asked: list[str] = []
        """Methods and paths, without the repository."""

    def push(self, tag: str, content: bytes, repository: str = REPOSITORY) -> str:
        """Keep an archive as the only layer of an artifact; return the digest of its manifest."""
        self.blobs[digest(content)] = content
        return self.push_manifest(tag, manifest(layer(content)), repository)

    def push_manifest(self, tag: str, content: bytes, repository: str = REPOSITORY) -> str:
        for version in (tag, digest(content)):
            self.manifests[f"{repository}/{version}"] = content
        return digest(content)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        repository, kind, version = request.path.removeprefix("/v2/").rsplit("/", 2)
        self.asked.append(f"{request.method} {kind}/{version}")
        if kind == "manifests":
            return self._manifest(f"{repository}/{version}", request.headers["Accept"])
        if self.blobs_elsewhere is not None:
            return web.Response(status=307, headers={"Location": f"{self.blobs_elsewhere}/{version}"})
        return web.Response(body=self.blobs[version], content_type="application/octet-stream")

    def _manifest(self, name: str, accepted: str) -> web.Response:
        content = self.manifests.get(name)
        if content is None or MANIFEST_TYPE not in accepted:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        headers = {"Docker-Content-Digest": digest(content)} if self.gives_digests else {}
        return web.Response(body=content, content_type=MANIFEST_TYPE, headers=headers)


class TokenRegistry(Registry):
    """A registry whose requests need a token for their repository, which a server beside it gives to who has the password."""

    def __init__(self, realm: str | None = None, credentials: str | None = None) -> None:
        super().__init__()
        self.realm = realm
        self.credentials = credentials
        self.valid: dict[str, str] = {}
        """Tokens by repository."""
        self.proofs: list[str | None] = []
        """What token requests said of who asks."""
        self.wanted: list[dict[str, str]] = []
        self.answer: Any = None

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return self._token(request)
        repository = request.path.removeprefix("/v2/").rsplit("/", 2)[0]
        token = self.valid.get(repository)
        if token is None or request.headers.get("Authorization") != f"Bearer {token}":
            realm = self.realm or f"{request.url.origin()}/token"
            challenge = f'Bearer realm="{realm}",service="registry.test",scope="repository:{repository}:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return await super().__call__(request)

    def expire(self) -> None:
        """Believe no token that was given so far."""
        self.valid.clear()

    def _token(self, request: web.Request) -> web.Response:
        proof = request.headers.get("Authorization")
        self.proofs.append(proof)
        self.wanted.append(dict(request.query))
        if self.credentials is not None and proof != f"Basic {base64.b64encode(self.credentials.encode()).decode()}":
            return web.Response(status=401)
        repository = request.query["scope"].split(":")[1]
        token = f"token-{len(self.proofs)}"
        self.valid[repository] = token
        return web.json_response({"token": token} if self.answer is None else self.answer)
