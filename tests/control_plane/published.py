"""A bundle that is published as a file, and a sidecar's configuration to take it from there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bundle.archives import archive


def policy(method: str) -> str:
    """Return a policy that allows one HTTP method."""
    return f'package envoy.authz\n\ndefault allow := false\n\nallow if input.attributes.request.http.method == "{method}"\n'


def bundle_of(revision: str, method: str, more: Mapping[str, str | bytes] | None = None) -> bytes:
    """Return the archive of a bundle that allows one HTTP method."""
    return archive({"policy.rego": policy(method), ".manifest": json.dumps({"revision": revision, "roots": ["envoy"]}), **(more or {})})


def publish(path: Path, content: bytes) -> None:
    """Put an archive in its place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def configuration(directory: Path, bundles: Mapping[str, Any], **fields: Any) -> Path:
    """Write a configuration with bundles; return its path."""
    path = directory / "config.yaml"
    document = {
        "bundles": bundles,
        "activation": {"require_signatures": False},
        "persistence_directory": str(directory / "state"),
        **fields,
    }
    path.write_text(json.dumps(document))
    return path
