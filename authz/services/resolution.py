"""Settings about control planes → what is to be done: names resolved, defaults filled in, contradictions refused. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from authz.outbound.urls import without_password
from authz.services.conversion import wrong
from authz.services.credential_rules import check_credentials
from authz.services.references import parse_reference
from authz.services.settings import (
    DEFAULT_SIZE_LIMIT_BYTES,
    BundleSettings,
    ControlPlaneSettings,
    DiscoverySettings,
    KeySettings,
    PollingSettings,
    ServiceSettings,
    SigningSettings,
    StatusSettings,
    Trigger,
)

DISCOVERY: Final = "discovery"
MIN_DELAY_S: Final = 60.0
MAX_DELAY_S: Final = 120.0
"""Between two requests for a bundle, if the configuration does not say: OPA's."""

_FILE: Final = "file://"
_BEGIN: Final = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Where one bundle comes from and when. `service` is None where `resource` is the path of a file."""

    name: str
    service: str | None
    resource: str
    min_delay_s: float = MIN_DELAY_S
    max_delay_s: float = MAX_DELAY_S
    long_polling_s: float | None = None
    is_manual: bool = False
    persist: bool = False
    signing: SigningSettings | None = None
    size_limit_bytes: int = DEFAULT_SIZE_LIMIT_BYTES
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class StatusTarget:
    """Where reports go; `path` is below the service's URL. Without a service only the console is told."""

    service: str | None
    path: str
    console: bool
    prometheus: bool
    is_manual: bool


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """All of it, without contradictions. `decision` is the path of discovery's configuration below `data`, empty for all."""

    services: Mapping[str, ServiceSettings] = field(default_factory=dict)
    keys: Mapping[str, KeySettings] = field(default_factory=dict)
    bundles: Mapping[str, DownloadSettings] = field(default_factory=dict)
    discovery: DownloadSettings | None = None
    decision: str = ""
    status: StatusTarget | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    persistence_directory: str | None = None


def resolve(settings: ControlPlaneSettings) -> ControlPlane:
    """Return what the settings mean together. Raises SettingsError."""
    services = _services(settings)
    for name, key in settings.keys.items():
        _check_key(f"keys.{name}", key)
    for name, service in services.items():
        _check_service(f"services.{name}", service, settings.keys)
    discovery = settings.discovery
    trigger = None if discovery is None else discovery.trigger or "periodic"
    bundles = {name: _bundle(name, bundle, services, settings.keys, trigger) for name, bundle in settings.bundles.items()}
    return ControlPlane(
        services,
        dict(settings.keys),
        bundles,
        None if discovery is None else _discovery(discovery, services, settings.keys),
        "" if discovery is None else (discovery.decision or discovery.name).strip("/"),
        None if settings.status is None else _status(settings.status, services, trigger),
        dict(settings.labels),
        settings.persistence_directory,
    )


def _services(settings: ControlPlaneSettings) -> dict[str, ServiceSettings]:
    """Return the services by name, in the order they were written in: the first one is the default."""
    if isinstance(settings.services, dict):
        return dict(settings.services)
    named: dict[str, ServiceSettings] = {}
    for index, service in enumerate(settings.services):
        if not service.name:
            raise wrong(f"services[{index}]", "a service in a list needs a `name`")
        if service.name in named:
            raise wrong(f"services[{index}].name", f"there are two services `{service.name}`")
        named[service.name] = service
    return named


def _check_service(where: str, service: ServiceSettings, keys: Mapping[str, KeySettings]) -> None:
    try:
        url = URL(service.url)
        is_usable = url.scheme in ("http", "https") and bool(url.host) and not url.query_string and not url.fragment
    except ValueError:
        is_usable = False
    if not is_usable:
        text = f"`{without_password(service.url)}` is not the URL of a server"
        raise wrong(f"{where}.url", text, help="write `https://host[:port][/path]`")
    if service.is_registry and url.path.strip("/"):
        text = f"`{without_password(service.url)}` has a path, and a registry is at its server's root"
        raise wrong(f"{where}.url", text, help=f"write `{url.origin()}`")
    for name, value in service.headers.items():
        if any(char < " " or char == "\x7f" for char in name + value) or not name or any(char in " :" for char in name):
            raise wrong(f"{where}.headers", f"`{name}` cannot be sent as a header")
    check_credentials(f"{where}.credentials", service.credentials, keys, is_registry=service.is_registry)


def _check_key(where: str, key: KeySettings) -> None:
    if not key.key and not key.private_key:
        raise wrong(where, "neither `key` nor `private_key` is given")
    for name, text in (("key", key.key), ("private_key", key.private_key)):
        if key.algorithm.startswith("HS") or not text:
            continue
        if not text.lstrip().startswith(_BEGIN):
            raise wrong(f"{where}.{name}", f"algorithm `{key.algorithm}` needs a PEM block", help="it begins with `-----BEGIN`")
        if "\n" not in text.strip():
            raise wrong(f"{where}.{name}", "the PEM block lost its line breaks", help=f"write it as a block: `{name}: |`, indented below")


def _bundle(
    name: str,
    bundle: BundleSettings,
    services: Mapping[str, ServiceSettings],
    keys: Mapping[str, KeySettings],
    discovery_trigger: Trigger | None,
) -> DownloadSettings:
    where = f"bundles.{name}"
    if not name.strip("/") or ".." in name.split("/") or not name.isprintable():
        raise wrong("bundles", f"`{name}` cannot be the name of a bundle")
    _check_signing(where, bundle.signing, keys)
    service, resource = _origin(where, bundle.service, bundle.resource or f"bundles/{name}", services)
    minimum_s, maximum_s = _delays(f"{where}.polling", bundle.polling)
    return DownloadSettings(
        name,
        service,
        resource,
        minimum_s,
        maximum_s,
        bundle.polling.long_polling_timeout_seconds,
        _is_manual(where, bundle.trigger, discovery_trigger),
        bundle.persist,
        bundle.signing,
        bundle.size_limit_bytes if bundle.size_limit_bytes > 0 else DEFAULT_SIZE_LIMIT_BYTES,
        bundle.max_age_seconds,
    )


def _discovery(discovery: DiscoverySettings, services: Mapping[str, ServiceSettings], keys: Mapping[str, KeySettings]) -> DownloadSettings:
    resource = discovery.resource
    if not resource and discovery.name:
        resource = f"{discovery.prefix.strip('/') or 'bundles'}/{discovery.name}"
    if not resource:
        raise wrong("discovery.resource", "is missing", help="name the discovery bundle's path below the service's URL")
    if not discovery.service and len(services) > 1 and not resource.startswith(_FILE):
        raise wrong("discovery.service", f"is missing, and there are {len(services)} services", help=_choices(services))
    _check_signing("discovery", discovery.signing, keys)
    service, path = _origin("discovery", discovery.service, resource, services)
    minimum_s, maximum_s = _delays("discovery.polling", discovery.polling)
    return DownloadSettings(
        discovery.name or DISCOVERY,
        service,
        path,
        minimum_s,
        maximum_s,
        discovery.polling.long_polling_timeout_seconds,
        discovery.trigger == "manual",
        discovery.persist,
        discovery.signing,
    )


def _status(status: StatusSettings, services: Mapping[str, ServiceSettings], discovery_trigger: Trigger | None) -> StatusTarget:
    name: str | None = status.service or None
    if name is None and not status.console and not status.prometheus:
        name = next(iter(services), None)
        if name is None:
            raise wrong("status", "says nowhere to report to", help="add a service, or `console: true`")
    if name is not None:
        _check_named("status.service", name, services)
        if services[name].is_registry:
            raise wrong("status.service", f"`{name}` is a registry, which takes no reports", help="name another service")
    path = f"status/{status.partition_name.strip('/')}" if status.partition_name else "status"
    return StatusTarget(name, path, status.console, status.prometheus, _is_manual("status", status.trigger, discovery_trigger))


def _origin(where: str, service: str, resource: str, services: Mapping[str, ServiceSettings]) -> tuple[str | None, str]:
    if resource.startswith(_FILE):
        path = resource.removeprefix(_FILE)
        if not path.startswith("/") or "\0" in path:
            raise wrong(f"{where}.resource", f"`{resource}` is not an absolute path", help="write `file:///path/to/bundle.tar.gz`")
        return None, path
    if service:
        _check_named(f"{where}.service", service, services)
    elif not services:
        raise wrong(where, "there is no service to download from", help="add it to `services`, or name a file: `file:///path`")
    name = service or next(iter(services))
    if services[name].is_registry:
        _check_reference(f"{where}.resource", resource, URL(services[name].url))
    return name, resource.strip("/")


def _check_reference(where: str, resource: str, registry: URL) -> None:
    try:
        parse_reference(resource)
    except ValueError as error:
        host = registry.host_port_subcomponent
        raise wrong(where, f"`{resource}` names nothing in a registry: {error}", help=f"write `{host}/repository:tag`") from None


def _check_named(where: str, service: str, services: Mapping[str, ServiceSettings]) -> None:
    if service not in services:
        raise wrong(where, f"there is no service `{service}`", help=_choices(services))


def _choices(services: Mapping[str, ServiceSettings]) -> str:
    return f"the services are {', '.join(f'`{name}`' for name in services)}" if services else "add it to `services`"


def _delays(where: str, polling: PollingSettings) -> tuple[float, float]:
    minimum_s, maximum_s = polling.min_delay_seconds, polling.max_delay_seconds
    if minimum_s is None and maximum_s is None:
        return MIN_DELAY_S, MAX_DELAY_S
    if minimum_s is None or maximum_s is None:
        raise wrong(where, "`min_delay_seconds` and `max_delay_seconds` go together", help="give both or neither")
    if maximum_s < minimum_s:
        raise wrong(where, f"`max_delay_seconds` {maximum_s:g} is less than `min_delay_seconds` {minimum_s:g}")
    return minimum_s, maximum_s


def _check_signing(where: str, signing: SigningSettings | None, keys: Mapping[str, KeySettings]) -> None:
    if signing is None or not signing.keyid:
        return
    if signing.keyid not in keys:
        raise wrong(f"{where}.signing.keyid", f"there is no key `{signing.keyid}`", help="add it to `keys`")
    if not keys[signing.keyid].key:
        raise wrong(f"{where}.signing.keyid", f"key `{signing.keyid}` has no `key` to verify with")


def _is_manual(where: str, trigger: Trigger | None, discovery_trigger: Trigger | None) -> bool:
    if trigger is not None and discovery_trigger is not None and trigger != discovery_trigger:
        raise wrong(
            f"{where}.trigger", f"trigger mode mismatch: {trigger} and {discovery_trigger}", help="leave it out, or change discovery's"
        )
    return (trigger or discovery_trigger) == "manual"
