"""What a bundle holds, as `opa inspect` tells it: manifest, namespaces, signatures, annotations. Prints nothing, verifies nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authz.bundle.archive import ArchiveFile
from authz.bundle.bundle import Bundle, bundle_of
from authz.bundle.checking import explained
from authz.bundle.directory import MODULE_SUFFIX, PolicySource, is_data
from authz.bundle.json_text import parse_json
from authz.bundle.signatures import is_signature_file
from authz.cli.output import location_json
from authz.publish.packing import read_bundle_at
from authz.refresh.files import read_file
from authz.rego import nodes
from authz.rego.errors import CompileError
from authz.rego.parser import parse_module
from authz.rego.values import Document


@dataclass(slots=True)
class Inspection:
    """What was found; empty where there is nothing. `patch` and `signature` are rows for a reader."""

    manifest: dict[str, Any] = field(default_factory=dict)
    signatures: Document = field(default_factory=dict)
    namespaces: dict[str, list[str]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    patch: list[tuple[str, str]] = field(default_factory=list)
    signature: list[tuple[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as JSON, with OPA's fields but `capabilities`."""
        document: dict[str, Any] = {"manifest": self.manifest} if self.manifest else {}
        document["signatures_config"] = self.signatures
        if self.namespaces:
            document["namespaces"] = dict(sorted(self.namespaces.items()))
        return document | ({"annotations": self.annotations} if self.annotations else {})


def inspected(path: Path, rego_version: int, *, with_annotations: bool) -> Inspection:
    """Look at what is at a path: an archive, its directory or a module. Raises SourceError, BundleError and CompileError."""
    if path.suffix == MODULE_SUFFIX and not path.is_dir():
        bundle = bundle_of(str(path), [ArchiveFile(path.name, read_file(path))])
        prefix, has_manifest = str(path).removesuffix(path.name), False
    else:
        bundle = read_bundle_at(path)
        prefix, has_manifest = f"{path}/" if path.is_dir() else "/", True
    found = Inspection()
    if has_manifest:
        found.manifest = bundle.manifest.document()
    _look_at_signature(bundle, found)
    found.patch = [(str(operation.op), operation.pointer) for operation in bundle.patch]
    modules = list(_modules(bundle, prefix, rego_version))
    for path_text, name in sorted(_namespaces(bundle, modules, prefix), key=lambda pair: (pair[1], pair[0])):
        found.namespaces.setdefault(name, []).append(path_text)
    if with_annotations:
        found.annotations = [annotation for module in modules for annotation in _annotations(module)]
    return found


def _modules(bundle: Bundle, prefix: str, rego_version: int) -> Iterator[nodes.Module]:
    for path, text in sorted({**bundle.modules, **bundle.tests}.items()):
        name, known = f"{prefix}{path}", bundle.version_of(path)
        version = rego_version if known is None else known
        try:
            yield parse_module(name, text, version)
        except CompileError as error:
            raise explained(error, PolicySource({name: text}, None, "", rego_versions={name: version}), version) from None


def _namespaces(bundle: Bundle, modules: Iterable[nodes.Module], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (file, namespace) of every file that brings policies or data."""
    for module in modules:
        yield module.file, ".".join(("data", *module.package))
    for file in bundle.files:
        if is_data(file.name) and not (file.path == "data.json" and not bundle.data):
            yield f"{prefix}{file.path}", ".".join(("data", *file.folders))


def _look_at_signature(bundle: Bundle, found: Inspection) -> None:
    for file in bundle.files:
        if is_signature_file(file):
            found.signatures = parse_json(file.content.decode())
    if bundle.signature is not None:
        signature = bundle.signature
        found.signature = [("Key", signature.key_id), ("Algorithm", signature.algorithm), ("Scope", signature.scope)]


def _annotations(module: nodes.Module) -> Iterator[dict[str, Any]]:
    for annotation in module.annotations:
        target = _target(module, annotation)
        location = module.package_location if target is None else target.location
        path = [*module.package, *([] if target is None else _steps(target))]
        yield {
            "annotations": dict(sorted(_about(annotation.document).items())),
            "location": location_json(location),
            "path": [_step(step, index) for index, step in enumerate(["data", *path])],
        }


def _target(module: nodes.Module, annotation: nodes.Annotation) -> nodes.Rule | None:
    """Return the rule that an annotation stands before; None for a package's."""
    if annotation.scope in ("package", "subpackages"):
        return None
    return min((rule for rule in module.rules if rule.location.row > annotation.location.row), key=lambda rule: rule.location.row)


def _steps(rule: nodes.Rule) -> Iterator[Any]:
    ref = rule.head.ref
    assert isinstance(ref.head, nodes.Var)
    yield ref.head.name
    for step in ref.args:
        if not isinstance(step, nodes.Scalar):
            return
        yield step.value


def _step(value: Any, index: int) -> dict[str, Any]:
    return {"type": "string" if index else "var", "value": value}


def _about(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a METADATA block says, references as OPA writes them."""
    schemas = document.get("schemas")
    if not schemas:
        return document
    written = [
        {
            key: [_step(step, index) for index, step in enumerate(value)] if key in ("path", "schema") else value
            for key, value in each.items()
        }
        for each in schemas
    ]
    return {**document, "schemas": written}
