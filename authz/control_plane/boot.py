"""What a process was started with, as its control plane is told of it. Values."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from authz.services.client import OPA_VERSION
from authz.services.resolution import ControlPlane

Document: TypeAlias = Mapping[str, Any]

_SECRET_OF_SERVICE = frozenset({"credentials"})
_SECRET_OF_KEY = frozenset({"key", "private_key"})


def _own_labels() -> dict[str, str]:
    return {"id": str(uuid.uuid4()), "version": OPA_VERSION}


@dataclass(frozen=True, slots=True)
class Boot:
    """The configuration as it was written, what it means, and the environment.

    `own_labels` are those that no configuration can set: OPA's `id` of this process, and the `version` of the OPA that it acts as.
    """

    document: Document
    plane: ControlPlane
    environment: Mapping[str, str] = field(default_factory=dict)
    own_labels: Mapping[str, str] = field(default_factory=_own_labels)

    def labels(self, plane: ControlPlane) -> dict[str, str]:
        """Return the labels under a configuration."""
        return {**plane.labels, **self.own_labels}

    def runtime(self) -> str:
        """Return what `opa.runtime()` gives to a discovery bundle, as JSON: without credentials and keys, as in OPA."""
        config = dict(self.document) | {"labels": self.labels(self.plane)}
        config |= {name: _without(config[name], secret) for name, secret in _SECRETS.items() if name in config}
        return json.dumps({"config": config, "env": dict(self.environment), "version": self.own_labels["version"]}, default=float)


_SECRETS: Mapping[str, frozenset[str]] = {"services": _SECRET_OF_SERVICE, "keys": _SECRET_OF_KEY}


def _without(part: Any, secret: frozenset[str]) -> Any:
    """Return a mapping or a list of sections without their fields that are secret."""
    if isinstance(part, Mapping):
        return {name: _public(section, secret) for name, section in part.items()}
    return [_public(section, secret) for section in part] if isinstance(part, (list, tuple)) else part


def _public(section: Any, secret: frozenset[str]) -> Any:
    return {name: value for name, value in section.items() if name not in secret} if isinstance(section, Mapping) else section
