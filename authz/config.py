"""What an operator can set: one frozen value, read once from file and flags.

The environment is an operand. The value is handed down piecewise by `app`; nobody below that sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.yaml_text import parse_yaml
from authz.errors import AuthzError, ErrorCode
from authz.identity import XfccMode
from authz.rego.pending import MAX_REQUESTS
from authz.services.conversion import Section, SettingsError, convert
from authz.services.resolution import resolve
from authz.services.settings import ControlPlaneSettings
from authz.services.substitution import substitute
from authz.telemetry.logs import LogFormat, LogLevel

MAX_CONFIG_BYTES: Final = 2**20

MAX_DURATION_S: Final = 31_536_000
"""A year. Clocks, alarms and timers overflow somewhere above it, each at another place and long after the start."""

MAX_CANARY_S: Final = 3600
"""A new policy waits for the end of its canary, so one that takes longer than this has been forgotten."""

MIN_POLL_S: Final = 0.1
MAX_CACHE_ENTRIES: Final = 1_000_000

Duration = Annotated[float, msgspec.Meta(gt=0, le=MAX_DURATION_S)]
DurationOrNone = Annotated[float, msgspec.Meta(ge=0, le=MAX_DURATION_S)]
PollInterval = Annotated[float, msgspec.Meta(ge=MIN_POLL_S, le=MAX_DURATION_S)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_CACHE_ENTRIES)]
RequestCount = Annotated[int, msgspec.Meta(ge=1, le=1000)]
WaitingCount = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
KeptVersions = Annotated[int, msgspec.Meta(ge=1, le=100)]
WorkerCount = Annotated[int, msgspec.Meta(ge=1, le=256)]
ByteCount = Annotated[int, msgspec.Meta(ge=0, le=2**30)]
CanarySeconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_CANARY_S)]
CanaryCount = Annotated[int, msgspec.Meta(ge=1, le=MAX_CACHE_ENTRIES)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class ConfigError(AuthzError):
    """The configuration cannot be used; the message names the file or the flag, and the field."""

    code = ErrorCode.CONFIG


class IdentitySettings(Section, frozen=True, forbid_unknown_fields=True):
    """Whom to believe about the caller (`authz.identity.IdentityConfig`)."""

    xfcc_mode: XfccMode = XfccMode.APPEND_FORWARD
    trusted_proxies: tuple[Text, ...] = ()


class CacheSettings(Section, frozen=True, forbid_unknown_fields=True):
    """The decision cache; `size` 0 turns it off. `allow_ttl_s` 0: what was allowed is not remembered."""

    size: Count = 8192
    ttl_s: Duration = 5.0
    allow_ttl_s: DurationOrNone = 0.0


class ReloadSettings(Section, frozen=True, forbid_unknown_fields=True):
    """How policy directories are kept up to date."""

    watch: bool = True
    poll_s: PollInterval = 5.0
    compile_timeout_s: Duration = 60.0


class ActivationSettings(Section, frozen=True, forbid_unknown_fields=True):
    """What is asked of bundles before they decide, and how many activated versions are kept to go back to.

    `start_compiler_ahead`: have a process wait for the next bundle, which is there sooner then. `deny_when_stale`: past the
    `max_age_seconds` of a bundle, deny every check.
    """

    require_signatures: bool = True
    require_tests: bool = False
    keep_versions: KeptVersions = 5
    start_compiler_ahead: bool = True
    deny_when_stale: bool = False


class HttpSendSettings(Section, frozen=True, forbid_unknown_fields=True):
    """What policies may ask others (`authz.outbound.settings.SendSettings`); no allowed host turns `http.send` off."""

    allow_hosts: tuple[Text, ...] = ()
    allow_http: bool = False
    allow_insecure_tls: bool = False
    tls_files: tuple[Text, ...] = ()
    timeout_s: Duration = 5.0
    check_timeout_s: Duration = 10.0
    max_requests_per_check: RequestCount = MAX_REQUESTS
    max_waiting_checks: WaitingCount = 256
    max_response_bytes: ByteCount = 2**20
    max_cache_bytes: ByteCount = 2**24


class CanarySettings(Section, frozen=True, forbid_unknown_fields=True):
    """How long, and how many live checks, a new policy shadows before it decides, and when it must not (`authz.pdp.verdict`)."""

    seconds: CanarySeconds = 30.0
    checks: CanaryCount = 1000
    max_flip_rate: Rate = 0.01
    min_checks: Count = 0


class LogSettings(Section, frozen=True, forbid_unknown_fields=True):
    """Log lines on stderr."""

    format: LogFormat = "text"
    level: LogLevel = "info"


class Config(ControlPlaneSettings, frozen=True, forbid_unknown_fields=True):
    """Everything `authz serve` needs to know."""

    policies: tuple[Text, ...] = ()
    addr: tuple[Text, ...] = ("127.0.0.1:9191",)
    admin_addr: str = "127.0.0.1:8181"
    transport: Literal["ngh2", "grpcio"] = "ngh2"
    entrypoint: Text = "envoy/authz/allow"
    v0_compatible: bool = False
    drain_s: Duration = 10.0
    workers: WorkerCount = 1
    identity: IdentitySettings = IdentitySettings()
    cache: CacheSettings = CacheSettings()
    reload: ReloadSettings = ReloadSettings()
    activation: ActivationSettings = ActivationSettings()
    http_send: HttpSendSettings = HttpSendSettings()
    log: LogSettings = LogSettings()
    canary: CanarySettings | None = None

    @property
    def rego_version(self) -> Literal[0, 1]:
        """The language version of modules that do not say theirs."""
        return 0 if self.v0_compatible else 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and the document that it was read from: what was not written may come from somewhere else."""

    config: Config
    document: Mapping[str, Any]


def load_config(file: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of `file` with `flags` on top; raises ConfigError."""
    return read_config(file, flags, environment).config


def read_config(file: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Loaded:
    """Return the configuration of `file` with `flags` on top, and what was written; raises ConfigError.

    `flags` holds what was given, by dotted field name (`cache.size`); `environment` is what `${NAME}` in the file stands for.
    """
    document = _read(file, environment or {}) if file is not None else {}
    if file is not None:
        _convert(document, str(file))  # so that the file is blamed for what the file says
    for name, value in flags.items():
        _put(document, name.split("."), value)
    config = _convert(document, "flags")
    if not (config.policies or config.bundles or config.discovery):
        raise ConfigError("no policy path was given", help="name a directory: `authz serve policies/`, or `bundles` in the configuration")
    if config.policies and (config.bundles or config.discovery):
        raise ConfigError("policies come from paths and from bundles at once", help="leave out the paths, or `bundles` and `discovery`")
    if config.workers > 1 and config.transport != "ngh2":
        raise ConfigError("field `workers`: only the `ngh2` transport has several", help="leave out `transport`, or `workers`")
    if config.canary is not None and config.canary.min_checks > config.canary.checks:
        raise ConfigError("field `canary.min_checks`: more than `canary.checks`, so no policy would ever be activated", help="lower it")
    if config.activation.deny_when_stale and not config.discovery and not any(each.max_age_seconds for each in config.bundles.values()):
        text = "field `activation.deny_when_stale`: no bundle has `max_age_seconds`, so none is ever stale"
        raise ConfigError(text, help="say how old a bundle may be: `bundles.NAME.max_age_seconds`")
    if not config.addr:
        raise ConfigError("no address to serve on was given: field `addr` is empty")
    return Loaded(config, document)


def _read(file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = file.read_bytes()[: MAX_CONFIG_BYTES + 1]
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_CONFIG_BYTES} bytes")
        parse = parse_json if file.suffix == ".json" else parse_yaml
        document = parse(substitute(content.decode("utf-8"), environment))
    except OSError as error:
        raise ConfigError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not valid UTF-8") from error
    except DocumentError as error:
        where = f":{error.row}:{error.col}" if error.row else ""
        raise ConfigError(f"{file}{where}: {error.message}") from error
    if document is None:  # a file of comments only
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: the configuration must be a mapping of fields")
    return document


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        document = document.setdefault(name, {})
    document[path[-1]] = value


def _convert(document: dict[str, Any], origin: str) -> Config:
    try:
        config = convert(document, Config)
        resolve(config)
    except SettingsError as error:
        raise ConfigError(f"{origin}: {error.message}", help=error.help) from error
    return config
