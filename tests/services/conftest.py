"""The one TLS server of a test."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.services.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def https(scene: Scene) -> ssl.SSLContext:
    """Return the server's context without its demand for certificates."""
    scene.tls.verify_mode = ssl.CERT_NONE
    return scene.tls
