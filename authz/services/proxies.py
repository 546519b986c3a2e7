"""Which proxy stands before a server: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by Go's rules. The environment is an operand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from yarl import URL

from authz.services.errors import Failure, ServiceError

_VARIABLES: Final = {"http": ("HTTP_PROXY", "http_proxy"), "https": ("HTTPS_PROXY", "https_proxy")}
_EXCEPTIONS: Final = ("NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of an environment, by the scheme of what is asked. `exceptions` are the entries of NO_PROXY."""

    by_scheme: Mapping[str, str]
    exceptions: tuple[str, ...] = ()

    def proxy_for(self, url: URL) -> URL | None:
        """Return the proxy for a URL, None where it is asked directly. Raises ServiceError for a proxy that is no URL."""
        text = self.by_scheme.get(url.scheme, "")
        if not text or self._is_excepted(url.raw_host or "", url.port or 0):
            return None
        try:
            proxy = URL(text if "://" in text else f"http://{text}")
            is_usable = proxy.scheme in ("http", "https") and bool(proxy.host)
        except ValueError:
            is_usable = False
        if not is_usable:
            name = _VARIABLES[url.scheme][0]
            raise ServiceError(Failure.PROXY, f"the value of {name} is not the URL of a proxy", help="write `http://host:port`")
        return proxy

    def _is_excepted(self, host: str, port: int) -> bool:
        """Whether a host is asked directly: this machine and its link (the cloud's metadata) are, whatever NO_PROXY says."""
        host = host.lower().removesuffix(".")
        return host == "localhost" or _is_near(host) or any(_covers(entry, host, port) for entry in self.exceptions)


def proxies_of(environment: Mapping[str, str]) -> Proxies:
    """Return the proxies that an environment names."""
    by_scheme = {scheme: _first(environment, names) for scheme, names in _VARIABLES.items()}
    if environment.get("REQUEST_METHOD"):
        by_scheme["http"] = ""  # a CGI script, whose HTTP_PROXY a client has set
    entries = (entry.strip().lower() for entry in _first(environment, _EXCEPTIONS).split(","))
    return Proxies(by_scheme, tuple(filter(None, entries)))


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
        return address.is_loopback or address.is_link_local
    except ValueError:
        return False


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry is for a host: `*`, a network, an address, a name with those below it, or with a dot only those below."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        pass
    name, _, wanted_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if wanted_port and wanted_port != str(port):
        return False
    name = name.removeprefix("*").strip("[]")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")
