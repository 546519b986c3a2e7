"""A control plane for the lab: `authz bundle serve` as a process, signed bundles in its directory, long polls to it.

Knows how a bundle gets to a sidecar. What is in one, and what it decides, is its caller's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Final

from authz.bundle.archive import ArchiveFile, write_archive
from authz.bundle.keys import Key
from authz.bundle.manifest import Manifest
from authz.bundle.signatures import SIGNATURES_NAME, sign
from authz.bundle.write import snapshot_files
from authz.rego.values import Document
from bench.lab.authz_process import SCRIPT
from bench.lab.client import Request, send
from bench.lab.ports import LOOPBACK, free_port
from bench.lab.process import ManagedProcess
from bench.lab.waiting import wait_until

NAME: Final = "authz"
"""Of the only bundle."""

KEY: Final = Key("lab", key="a secret of the lab", private_key="a secret of the lab", algorithm="HS256")
LONG_POLL_S: Final = 60

REVISION: Final = "x-revision"
REVISION_OF_METADATA: Final[Mapping[str, str]] = {REVISION: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:revision)%"}
"""A header by which Envoy says what `revision` is in the dynamic metadata of the decision."""

REVISION_HEADERS: Final = (REVISION, "x-revision-of-rego", "x-revision-of-data")
_DECISION: Final = """package release

manifest := data.system.bundles["authz"].manifest

told := {"x-revision-of-rego": "REVISION", "x-revision-of-data": data.number.revision}

metadata := {"revision": manifest.revision}

decision := {"allowed": true, "response_headers_to_add": told, "dynamic_metadata": metadata} if data.envoy.authz.allow

decision := {"allowed": false, "headers": told, "dynamic_metadata": metadata} if not data.envoy.authz.allow
"""
ENTRYPOINT: Final = "release/decision"


def signed_bundle(revision: str, modules: Mapping[str, str], data: Mapping[str, Document]) -> bytes:
    """Return an archive that owns everything, signed with the lab's key."""
    files = snapshot_files(Manifest(revision), modules, data)
    return write_archive((*files, ArchiveFile(SIGNATURES_NAME, sign(files, KEY))))


def telling_bundle(revision: int, source: str) -> bytes:
    """Return a bundle whose decisions are those of `envoy.authz.allow` and name the revision as its manifest, Rego and data have it.

    The manifest's goes into the dynamic metadata. What decides with parts of two revisions names both.
    """
    modules = {"policy.rego": source, "decision.rego": _DECISION.replace("REVISION", str(revision))}
    return signed_bundle(str(revision), modules, {"number": {"revision": str(revision)}})


class ControlPlane:
    """A bundle server with one bundle, and the configuration of sidecars that take it from there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._archives = directory / "archives"
        self._archives.mkdir(parents=True)
        self.archive = self._archives / f"{NAME}.tar.gz"
        self._port = free_port()
        self._process: ManagedProcess | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [str(SCRIPT), "bundle", "serve", str(self._archives), "--addr", f"{LOOPBACK}:{self._port}"]
        self._process = ManagedProcess("bundle-server", command, self._directory / "bundle-server.log")
        wait_until(self._answers, "the bundle server answers")

    def stop(self) -> None:
        """End it whatever its state."""
        if self._process is not None and self._process.is_running:
            self._process.stop()

    def publish(self, archive: bytes) -> float:
        """Put a bundle in the place of the last one, at once; return the moment (`perf_counter`)."""
        draft = self._directory / "draft"
        draft.write_bytes(archive)
        published = perf_counter()
        os.replace(draft, self.archive)
        return published

    def configuration(self, sidecar: str) -> Path:
        """Write how a sidecar of this name gets the bundle, and keeps it: long polls, a signature that must verify, its own disk."""
        bundle = {
            "service": "lab",
            "resource": f"bundles/{NAME}.tar.gz",
            "polling": {"long_polling_timeout_seconds": LONG_POLL_S},
            "signing": {"keyid": KEY.id},
            "persist": True,
        }
        document = {
            "services": {"lab": {"url": f"http://{LOOPBACK}:{self._port}"}},
            "keys": {KEY.id: {"key": KEY.key, "algorithm": KEY.algorithm}},
            "bundles": {NAME: bundle},
            "persistence_directory": str(self._directory / f"{sidecar}-state"),
        }
        path = self._directory / f"{sidecar}.json"
        path.write_text(json.dumps(document))
        return path

    def _answers(self) -> bool:
        assert self._process is not None
        self._process.require_running()
        try:
            return send(self._port, Request(path="/bundles/none"), None).status == 404
        except OSError:
            return False
