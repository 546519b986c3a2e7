"""The versions of the policy bundles that were activated, on disk: each whole, verified when it is read, and never half written.

Owns the layout of the directory and what of it survives a crash at any moment. Knows no bundle's contents.

    DIR/blobs/<sha256>               an archive, as it was activated
    DIR/versions/<number>-<id>.json  one version: its bundles by digest; written when all of its blobs are there
    DIR/pinned                       the id of the version that is kept active, if any
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from authz.errors import AuthzError, ErrorCode

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
MAX_VERSION_BYTES: Final = 2**20
_TEMPORARY: Final = ".tmp"


class StoreError(AuthzError):
    """The directory cannot be used, or a version in it is not what was written; the message names the path."""

    code = ErrorCode.PERSISTENCE


class StoredBundle(msgspec.Struct, frozen=True):
    """One bundle of a version: `digests` are the SHA-256 (hex) of its archives, by which they are found and checked.

    The first archive is a snapshot, the others are deltas of it, in the order in which they came. `etag` is good for `origin` only.
    """

    name: str
    revision: str
    digests: tuple[str, ...]
    etag: str = ""
    origin: str = ""


class Version(msgspec.Struct, frozen=True):
    """What was activated at once. `id` names the contents: the same archives under the same names are the same version."""

    id: str
    revision: str
    activated_ns: int
    bundles: tuple[StoredBundle, ...]


class _Record(msgspec.Struct, frozen=True):
    """A version's file. `sha256` is that of the version's JSON, so that a torn or edited file is told from a whole one."""

    sha256: str
    version: msgspec.Raw


def version_id(digests: Mapping[str, Sequence[str]]) -> str:
    """Return the id of the version in which the bundles of these names are made of archives with these digests."""
    text = "".join(f"{len(name)}:{name}{','.join(each)}" for name, each in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class VersionStore:
    """The last versions, newest last written; held by one process at a time."""

    def __init__(self, directory: Path, keep: int, lock: int) -> None:
        self._directory = directory
        self._blobs = directory / "blobs"
        self._versions = directory / "versions"
        self._keep = keep
        self._lock = lock

    @classmethod
    def open(cls, directory: Path, keep: int) -> Self:
        """Make the directory (mode 0700) if it is not there, and hold it. Raises StoreError, also if another process holds it."""
        try:
            for path in (directory, directory / "blobs", directory / "versions"):
                path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            _refuse_others(directory)
            lock = _open_lock(directory / "lock")
        except OSError as error:
            raise _failed(directory, error) from error
        except ValueError as error:  # a NUL in the path
            raise StoreError(f"{str(directory)!r}: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StoreError(f"{directory}: another process holds it", help="give every sidecar a directory of its own") from error
        return cls(directory, keep, lock)

    def close(self) -> None:
        """Let another process hold the directory."""
        os.close(self._lock)

    # Versions

    def save(self, version: Version, archives: Mapping[str, bytes]) -> None:
        """Write a version and the archives of its bundles, by digest, so that it is the newest; drop the oldest beyond `keep`.

        Raises StoreError; what was there before is there then.
        """
        try:
            for digest in _digests(version):
                path = self._blobs / digest
                if not path.exists() or _digest(path.read_bytes()) != digest:
                    _write(path, archives[digest])
            names = self._names()
            number = 1 + max((_number(name) for name in names), default=0)
            _write(self._versions / f"{number:010d}-{version.id}.json", _encoded(version))
            for name in names:
                if _id(name) == version.id:
                    (self._versions / name).unlink()
            self._prune()
        except OSError as error:
            with suppress(OSError, StoreError):
                self._prune()  # else what was written of it stays until another version can be, which needs the room
            raise _failed(self._directory, error) from error

    def versions(self) -> list[Version]:
        """Return the versions whose files are whole, the newest first."""
        found = (self._read(name) for name in reversed(self._names()))
        return [version for version in found if version is not None]

    def damaged(self) -> list[Path]:
        """Return the versions' files that are not whole."""
        return [self._versions / name for name in self._names() if self._read(name) is None]

    def archives(self, version: Version) -> dict[str, bytes]:
        """Return the archives of a version by their digests, which are checked. Raises StoreError."""
        return {digest: self._blob(digest) for digest in _digests(version)}

    def _blob(self, digest: str) -> bytes:
        path = self._blobs / digest
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _failed(path, error) from error
        if _digest(content) != digest:
            raise StoreError(f"{path}: does not have the digest that it is named by", help="it was damaged or tampered with: remove it")
        return content

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._versions) if name.endswith(".json"))
        except OSError as error:
            raise _failed(self._versions, error) from error

    def _read(self, name: str) -> Version | None:
        try:
            return self._whole(name)
        except OSError:
            return None

    def _whole(self, name: str) -> Version | None:
        """Return a version, None if its file is not whole; raises OSError if that cannot be told."""
        with open(self._versions / name, "rb") as file:
            content = file.read(MAX_VERSION_BYTES)
        try:
            record = msgspec.json.decode(content, type=_Record)
            text = bytes(record.version)
            return msgspec.json.decode(text, type=Version) if _digest(text) == record.sha256 else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _prune(self) -> None:
        """Drop versions before blobs: one that is cut short leaves blobs that the next one drops."""
        names = self._names()
        pinned = self.pinned()
        old = [name for name in names[: -self._keep] if _id(name) != pinned]
        for name in old:
            (self._versions / name).unlink()
        left = [self._whole(name) for name in self._names()]  # of one that cannot be read just now, the blobs are not dropped
        kept = {digest for version in left if version is not None for digest in _digests(version)}
        _unlink(self._blobs, (name for name in os.listdir(self._blobs) if name not in kept))
        _unlink(self._versions, (name for name in os.listdir(self._versions) if name.endswith(_TEMPORARY)))

    # When its services last said that a version is the newest: the time of its file, which costs no write of a file a poll

    def confirm(self, id: str, now_ns: int) -> None:
        """Remember that a version was the newest one at this time (UNIX ns). Raises StoreError."""
        try:
            for name in self._names():
                if _id(name) == id:
                    os.utime(self._versions / name, ns=(now_ns, now_ns))
        except OSError as error:
            raise _failed(self._versions, error) from error

    def confirmed_ns(self, id: str) -> int:
        """Return when a version was last known to be the newest (UNIX ns), 0 if that is not known."""
        try:
            return max((os.stat(self._versions / name).st_mtime_ns for name in self._names() if _id(name) == id), default=0)
        except OSError:
            return 0

    # The pin

    def pinned(self) -> str | None:
        """Return the id of the version that is pinned, if one is."""
        try:
            return (self._directory / "pinned").read_text("ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._directory / 'pinned'}: cannot be read: {error}", help="remove it, or write the id again") from error

    def pin(self, id: str | None) -> None:
        """Pin a version, or none. Raises StoreError."""
        try:
            _write(self._directory / "pinned", (id or "").encode())
        except OSError as error:
            raise _failed(self._directory, error) from error


def _digests(version: Version) -> Iterator[str]:
    return (digest for bundle in version.bundles for digest in bundle.digests)


def _encoded(version: Version) -> bytes:
    text = msgspec.json.encode(version)
    return msgspec.json.encode(_Record(_digest(text), msgspec.Raw(text)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _number(name: str) -> int:
    number = name.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def _id(name: str) -> str:
    return name.partition("-")[2].removesuffix(".json")


def _refuse_others(directory: Path) -> None:
    """Raise if others may write here: what is in this directory decides requests after the next start."""
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise StoreError(f"{directory}: belongs to another user", help=f"change its owner to the user that runs `authz` ({os.geteuid()})")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreError(f"{directory}: others have access to it", help="chmod 0700 it: what is in it decides requests")


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # on a disk that is read-only, what was written before can still be served


def _write(path: Path, content: bytes) -> None:
    """Write a file so that at any moment, and after a crash, there is the whole of it or what was there before."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        (directory / name).unlink(missing_ok=True)


def _failed(path: Path, error: OSError) -> StoreError:
    text = error.strerror or str(error)
    return StoreError(f"{path}: {text[:1].lower()}{text[1:]}", help="the persistence directory must be writable and have room")
