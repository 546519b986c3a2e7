"""The body of OPA's status API, built from the states of the parts. Sends nothing and reads no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from authz.services.downloads import BundleState

PluginState: TypeAlias = Literal["NOT_READY", "OK", "ERROR", "WARN"]

NEVER: Final = "0001-01-01T00:00:00Z"
"""What OPA writes for a time that has not been."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CODE: Final = "bundle_error"
_COMPILING: Final = "error(s) occurred while compiling module(s)"


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """How one part stands, by OPA's names of parts."""

    state: PluginState
    message: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is reported. `metrics` is OPA's `{"prometheus": …}`; `decision_logs` that of the last upload."""

    labels: Mapping[str, str]
    bundles: Mapping[str, BundleState] = field(default_factory=dict)
    discovery: BundleState | None = None
    discovery_message: str = ""
    plugins: Mapping[str, PluginStatus] = field(default_factory=dict)
    decision_logs: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None


def status_document(status: Status) -> dict[str, Any]:
    """Return the report as JSON. Parts that are not there are left out, as OPA leaves them out."""
    document: dict[str, Any] = {"labels": dict(status.labels)}
    if status.bundles:
        document["bundles"] = {name: bundle_document(state) for name, state in status.bundles.items()}
    if status.discovery is not None:
        document["discovery"] = bundle_document(status.discovery, status.discovery_message)
    if status.decision_logs is not None:
        document["decision_logs"] = dict(status.decision_logs)
    if status.plugins:
        document["plugins"] = {name: _plugin(plugin) for name, plugin in status.plugins.items()}
    if status.metrics is not None:
        document["metrics"] = dict(status.metrics)
    return document


def bundle_document(state: BundleState, message: str = "") -> dict[str, Any]:
    """Return one bundle's part. A message without an error is discovery's list of what the boot configuration overrides."""
    document: dict[str, Any] = {"name": state.name}
    if state.revision:
        document["active_revision"] = state.revision
    document |= {
        "last_request": timestamp(state.requested_ns),
        "last_successful_request": timestamp(state.answered_ns),
        "last_successful_download": timestamp(state.downloaded_ns),
        "last_successful_activation": timestamp(state.activated_ns),
    }
    if state.type is not None:
        document["type"] = state.type
    if state.size:
        document["size"] = state.size
    error = state.error
    if error is not None:
        document |= {"code": _CODE, "message": _COMPILING if state.errors else error.message}
        if error.http_code is not None:
            document["http_code"] = error.http_code
        if state.errors:
            document["errors"] = [dict(each) for each in state.errors]
    elif message:
        document["message"] = message
    if state.stages_ns:
        document["metrics"] = {timer_of(stage): duration_ns for stage, duration_ns in state.stages_ns.items()}
    return document


def timer_of(stage: str) -> str:
    """Return the name under which OPA reports how long a stage took."""
    return f"timer_{stage}_ns"


def timestamp(unix_ns: int) -> str:
    """Return RFC 3339 text in UTC with nanoseconds, as Go writes it: no zeros at the end."""
    if not unix_ns:
        return NEVER
    seconds, nanoseconds = divmod(unix_ns, 1_000_000_000)
    moment = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{moment}{fraction}Z"


def _plugin(plugin: PluginStatus) -> dict[str, str]:
    return {"state": plugin.state, **({"message": plugin.message} if plugin.message else {})}
