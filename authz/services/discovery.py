"""The configuration that a discovery bundle holds, under the one the process was started with. Documents in, a document out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from authz.services.conversion import SettingsError, convert
from authz.services.resolution import ControlPlane, resolve
from authz.services.settings import ControlPlaneSettings

Document: TypeAlias = Mapping[str, Any]

FIELDS: Final = frozenset(ControlPlaneSettings.__struct_fields__)
"""What a discovery bundle may set; the rest is the process's own."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What is to be done now. `overridden` are the discovered fields that the boot configuration has another value for."""

    plane: ControlPlane
    document: Document
    overridden: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """OPA's words for the status report; empty if nothing is overridden."""
        if not self.overridden:
            return ""
        return f"Keys in the discovered configuration overridden by boot configuration: {', '.join(self.overridden)}"


def discover(boot: Document, found: Any) -> Discovered:
    """Return the configuration of a discovery bundle's `found` document under `boot`. Raises SettingsError.

    The boot configuration wins field by field; `discovery` is never changed, nor are the service and the keys by which the bundle
    itself came; labels are only added.
    """
    if not isinstance(found, Mapping):
        raise SettingsError("the discovered configuration is not an object")
    own = _normal({name: value for name, value in boot.items() if name in FIELDS})
    discovered = _normal({name: value for name, value in found.items() if name != "discovery"})
    before = resolve(convert(own, ControlPlaneSettings))
    service = _refuse_changes(own, discovered, before)
    overridden: list[str] = []
    document = _merged(discovered, own, "", overridden)
    if service is not None:  # there may be more services now, and it stays the default of all that name none
        document["discovery"] = {**document["discovery"], "service": service}
        document["services"] = {service: document["services"][service], **document["services"]}
    plane = resolve(convert(document, ControlPlaneSettings))
    return Discovered(plane, document, tuple(sorted(overridden)))


def _normal(document: Document) -> dict[str, Any]:
    """Return a copy whose services are by name: a list of them could not be merged."""
    copied: dict[str, Any] = copy.deepcopy(dict(document))
    services = copied.get("services")
    if isinstance(services, (list, tuple)):
        named = {}
        for index, service in enumerate(services):
            if not isinstance(service, dict) or not isinstance(service.get("name"), str):
                raise SettingsError(f"field `services[{index}]`: a service in a list needs a `name`")
            named[service["name"]] = service
        copied["services"] = named
    return copied


def _refuse_changes(own: Document, discovered: Document, before: ControlPlane) -> str | None:
    """Return the discovery bundle's service. Raises SettingsError for a change that could cut off the way by which the next one comes."""
    settings = before.discovery
    if settings is None:
        raise SettingsError("there is no `discovery` in the boot configuration")
    name = settings.service
    services = _part(discovered, "services")
    if name is not None and name in services and _service(name, services) != _service(name, _part(own, "services")):
        raise SettingsError("updates to the discovery service are not allowed")
    for key, value in _part(discovered, "keys").items():
        if key in before.keys and value != _part(own, "keys")[key]:
            raise SettingsError("updates to keys specified in the boot configuration are not allowed")
    return name


def _service(name: str, services: Document) -> Document:
    """Return a service as it may be compared: whether it says its own name does not matter."""
    service = services[name]
    return {**service, "name": name} if isinstance(service, Mapping) else {}


def _part(document: Document, name: str) -> Document:
    part = document.get(name)
    return part if isinstance(part, Mapping) else {}


def _merged(under: dict[str, Any], over: Document, prefix: str, overridden: list[str]) -> dict[str, Any]:
    """Return `under` with all of `over` on top; collect the paths of values that had to give way."""
    result = dict(under)
    for name, value in over.items():
        path = f"{prefix}{name}"
        was = result.get(name)
        if name in result and isinstance(value, dict) and isinstance(was, dict):
            result[name] = _merged(was, value, f"{path}.", overridden)
            continue
        if name in result and was != value:
            overridden.append(path)
        result[name] = value
    return result
