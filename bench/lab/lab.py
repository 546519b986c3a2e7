"""The whole laboratory: who runs, who trusts whom, and in which order it goes away."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from bench.lab.authz_process import AuthzProcess
from bench.lab.client import Request, Response, send, tls_context
from bench.lab.envoy import Envoy, load_template
from bench.lab.envoy_config import Config, Surroundings, Variant, fit
from bench.lab.pki import Authority, Credential
from bench.lab.upstream import start_upstream


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What differs from lab to lab.

    `workloads` maps a caller's name to its SPIFFE ID; `serve_options` are passed to
    `authz serve`; `extra_checks` maps the name of a further check cluster to its ports.
    """

    envoy_id: str
    workloads: Mapping[str, str]
    variants: Sequence[Variant] = ()
    serve_options: Sequence[str] = ()
    extra_checks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    template: Config | None = None


class Lab:
    """CA, upstream, `authz` and Envoy in one temporary directory; leaving the block leaves nothing running.

    `policies` is a directory that callers may write to while the lab runs.
    """

    def __init__(self, options: LabOptions, policies: Mapping[str, str]) -> None:
        self._options = options
        self._exit = ExitStack()
        self.directory = Path(tempfile.mkdtemp(prefix="authz-lab-"))
        self._exit.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.policies = self.directory / "policies"
        self.policies.mkdir()
        for name, source in policies.items():
            self.write_policy(name, source)
        self.authority = Authority(self.directory / "pki", "lab root")
        self.callers = self._issue_callers()
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self.authz = AuthzProcess([self.policies], self.directory, options.serve_options)

    def __enter__(self) -> Lab:
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._exit.close()

    def _start(self) -> None:
        upstream, self.upstream_port = start_upstream(self.directory)
        self._exit.callback(upstream.kill)
        self._exit.callback(self.authz.stop)
        self.authz.launch()
        self.envoy = Envoy(self._envoy_config(), self.directory)
        self._exit.callback(self.envoy.stop)
        self.authz.wait_until_ready()

    def write_policy(self, name: str, source: str | bytes) -> None:
        """Write a policy file at once, as an editor's save or a ConfigMap update does: no reader sees half of it."""
        draft = self.directory / "draft"
        draft.write_bytes(source.encode() if isinstance(source, str) else source)
        draft.replace(self.policies / name)

    def admit(self, spiffe_id: str) -> str:
        """Issue an X.509-SVID, once, and return the name of the caller that presents it: the ID itself."""
        if spiffe_id not in self.callers:
            self.callers[spiffe_id] = self.authority.issue("admitted", spiffe_id)
        return spiffe_id

    def context(self, caller: str | None) -> ssl.SSLContext:
        """Return the TLS context of a caller; None presents no certificate."""
        return tls_context(self.authority.certificate, self.callers[caller] if caller else None)

    def send(self, caller: str | None, request: Request, listener: str = "") -> Response:
        """Send a request as a caller; `listener` names a variant, empty is the file's own."""
        return send(self.port(listener), request, self._cached_context(caller))

    def send_plain(self, request: Request, listener: str) -> Response:
        """Send a request without TLS."""
        return send(self.port(listener), request, None)

    def port(self, listener: str = "") -> int:
        """Return the port of a variant, or of the file's own listener."""
        return self.envoy.ports[listener] if listener else next(iter(self.envoy.ports.values()))

    def _cached_context(self, caller: str | None) -> ssl.SSLContext:
        if caller not in self._contexts:
            self._contexts[caller] = self.context(caller)
        return self._contexts[caller]

    def _issue_callers(self) -> dict[str, Credential]:
        foreign = Authority(self.directory / "foreign", "foreign root")
        callers = {name: self.authority.issue(name, spiffe_id) for name, spiffe_id in self._options.workloads.items()}
        first = next(iter(self._options.workloads.values()))
        callers["foreign"] = foreign.issue("foreign", first)
        callers["nameless"] = self.authority.issue("nameless", None, dns=["nameless.example"])
        return callers

    def _envoy_config(self) -> Config:
        server = self.authority.issue("envoy", self._options.envoy_id, is_server=True)
        around = Surroundings(
            authority=self.authority.certificate,
            credential=server,
            authz_ports=[self.authz.port],
            upstream_port=self.upstream_port,
            variants=self._options.variants,
            clusters=self._options.extra_checks,
        )
        return fit(self._options.template or load_template(), around)
