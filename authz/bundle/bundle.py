"""A policy bundle: bytes → verified, bounded and checked parts, as OPA reads them.

Knows neither where bundles come from nor how several of them become one policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from authz.bundle.archive import ArchiveFile, read_archive
from authz.bundle.directory import MODULE_SUFFIX, TEST_SUFFIX, DataTree, SourceError, SourceFile, digest_of, document_of, is_data, text_of
from authz.bundle.errors import BundleError, SignatureError
from authz.bundle.limits import DEFAULT_LIMITS, Limits
from authz.bundle.manifest import ALL, MANIFEST_NAME, Manifest, parse_manifest, refuse_data_outside, refuse_package_outside
from authz.bundle.patch import PATCH_NAME, Operation, parse_patch
from authz.bundle.signatures import SIGNATURES_NAME, Signature, Verification, is_signature_file, read_token, verify
from authz.rego.errors import CompileError
from authz.rego.parser import parse_package
from authz.rego.values import Document


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read. `modules` and `tests` (`*_test.rego`) are source texts by path; `data` is the document of its data files.

    `files` are all that was in the archive. A delta has a `patch` and nothing else; `signature` is None for an unsigned bundle.
    `rego_version` is that of modules of which the manifest says nothing; None leaves it to who compiles.
    """

    name: str
    manifest: Manifest
    modules: Mapping[str, str]
    tests: Mapping[str, str]
    data: Mapping[str, Document]
    files: tuple[ArchiveFile, ...] = field(repr=False)
    patch: tuple[Operation, ...] = ()
    signature: Signature | None = None
    rego_version: int | None = None

    @property
    def is_delta(self) -> bool:
        """Whether this changes a snapshot instead of being one."""
        return bool(self.patch)

    @property
    def revision(self) -> str:
        """The manifest's revision, perhaps empty."""
        return self.manifest.revision

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the files' names and contents, signatures left out."""
        files = sorted((file for file in self.files if not is_signature_file(file)), key=lambda file: file.path)
        return digest_of((file.path.encode(), file.content) for file in files)

    def version_of(self, path: str) -> int | None:
        """Return the Rego version of a module, as far as it is known."""
        known = self.manifest.version_of(path)
        return self.rego_version if known is None else known


def parse_bundle(
    name: str,
    content: bytes,
    *,
    verification: Verification | None = None,
    limits: Limits = DEFAULT_LIMITS,
    rego_version: int | None = None,
) -> Bundle:
    """Read the archive of the bundle `name`; raises BundleError whose message begins with that name.

    `verification` None verifies nothing, as OPA's `eval` and `test` do: what is to serve must have one. It applies to deltas, too.
    What the modules hold is not looked at but for their packages: a syntax error is the compiler's to find.
    """
    try:
        files = read_archive(content, limits)
    except BundleError as error:
        raise _named(error, name) from error
    return bundle_of(name, files, verification=verification, limits=limits, rego_version=rego_version)


def bundle_of(
    name: str,
    files: Iterable[ArchiveFile],
    *,
    verification: Verification | None = None,
    limits: Limits = DEFAULT_LIMITS,
    rego_version: int | None = None,
) -> Bundle:
    """Return the bundle that files are, checked as `parse_bundle` checks those of an archive; raises BundleError."""
    given = tuple(files)
    try:
        signature = _signature(given, verification, limits)
        manifest = _manifest(given, limits)
        patches = [file for file in given if file.name == PATCH_NAME]
        if patches:
            return Bundle(name, manifest, {}, {}, {}, given, _patch(patches, given, manifest), signature, rego_version)
        return _snapshot(Bundle(name, manifest, {}, {}, {}, given, (), signature, rego_version))
    except (BundleError, SourceError) as error:
        raise _named(error, name) from error


def _named(error: BundleError | SourceError, name: str) -> BundleError:
    """Return the error with the bundle's name before what it says, as text that can be shown: keys may be no valid UTF-8."""
    kind = SignatureError if isinstance(error, SignatureError) else BundleError
    return kind(f"bundle {name}: {error.message}".encode("utf-8", "backslashreplace").decode(), help=error.help)


def _manifest(files: tuple[ArchiveFile, ...], limits: Limits) -> Manifest:
    found = _only(files, lambda file: file.path.endswith(MANIFEST_NAME), "manifest", limits.manifest_bytes)
    return Manifest() if found is None else parse_manifest(text_of(_source(found)))


def _snapshot(empty: Bundle) -> Bundle:
    """Return the bundle with what its files hold. Raises BundleError and SourceError."""
    modules = {file.path: text_of(_source(file)) for file in empty.files if file.path.endswith(MODULE_SUFFIX)}
    if empty.manifest.roots != ALL:
        for path, text in modules.items():
            _refuse_package_outside(path, text, empty)
    tests = {path: text for path, text in modules.items() if path.endswith(TEST_SUFFIX)}
    serving = {path: text for path, text in modules.items() if path not in tests}
    return replace(empty, modules=serving, tests=tests, data=_data(empty.files, empty.manifest))


def _refuse_package_outside(path: str, text: str, bundle: Bundle) -> None:
    known = bundle.version_of(path)
    for version in (0, 1) if known is None else (known,):
        try:
            package = parse_package(path, text, version)
        except CompileError:
            continue  # the compiler says so, with the place: no policy comes of this
        refuse_package_outside(bundle.manifest, package, path)


def _signature(files: tuple[ArchiveFile, ...], verification: Verification | None, limits: Limits) -> Signature | None:
    found = _only(files, is_signature_file, "signature file", limits.signature_bytes)
    if found is None:
        if verification is not None and verification.needs_signature:
            raise SignatureError(f"bundle missing {SIGNATURES_NAME} file")
        return None
    token = read_token(found.content)
    if verification is not None:
        return verify(token, (file for file in files if file is not found), verification)
    key_id, algorithm, scope = token.header.get("kid", token.payload.get("keyid")), token.header.get("alg"), token.payload.get("scope", "")
    return Signature(str(key_id or ""), str(algorithm or ""), str(scope), is_verified=False)


def _only(files: Iterable[ArchiveFile], is_one: Callable[[ArchiveFile], bool], what: str, max_bytes: int) -> ArchiveFile | None:
    """Return the one file of a kind, None if there is none."""
    found = [file for file in files if is_one(file)]
    if len(found) > 1:
        raise BundleError(f"more than one {what}: {', '.join(f'`{file.path}`' for file in found[:3])}")
    if found and len(found[0].content) > max_bytes:
        raise BundleError(f"{found[0].path}: larger than {max_bytes} bytes")
    return found[0] if found else None


def _source(file: ArchiveFile) -> SourceFile:
    """Return the file as a source of data or text: OPA trims what `.` and `/` its folders begin with."""
    folders = "/".join(file.folders).lstrip("./")
    return SourceFile(file.path, PurePosixPath(folders, file.name), file.content)


def _data(files: Iterable[ArchiveFile], manifest: Manifest) -> dict[str, Document]:
    tree = DataTree()
    is_empty = True
    for file in sorted((file for file in files if is_data(file.name)), key=lambda file: file.path):
        source = _source(file)
        tree.insert(document_of(source), source.path.parent.parts, source.name)
        is_empty = False
    if not is_empty:
        refuse_data_outside(manifest, tree.document)
    return tree.document


def _patch(patches: list[ArchiveFile], files: Iterable[ArchiveFile], manifest: Manifest) -> tuple[Operation, ...]:
    if len(patches) > 1:
        raise BundleError(f"more than one {PATCH_NAME}: {', '.join(f'`{file.path}`' for file in patches[:3])}")
    for what, is_one in (("data", lambda file: is_data(file.name)), ("policy", lambda file: file.path.endswith(MODULE_SUFFIX))):
        if any(map(is_one, files)):
            raise BundleError(f"delta bundle expected to contain only patch file but {what} files found")
    operations = parse_patch(text_of(_source(patches[0])))
    if not operations:
        advice = "an empty patch is no delta: to OPA it is a snapshot without anything, which erases what the bundle owns"
        raise BundleError(f"{PATCH_NAME}: has no operation", help=advice)
    for operation in operations:
        if not manifest.owns(operation.path):
            path = operation.pointer.strip("/")
            raise BundleError(f"manifest roots {manifest.roots_text} do not permit data patch at path '{path}'")
    return operations
