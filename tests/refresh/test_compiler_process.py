from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from authz import rego
from authz.bundle.directory import PolicySource, SourceError
from authz.errors import ErrorCode
from authz.refresh import compile_worker, settling
from authz.refresh.compiler_process import compile_in_process
from authz.refresh.messages import Compiled, CompileRequest, CompileResponse, Failed, Paths, Unchanged
from authz.refresh.sources import read_source
from tests.bundle.archives import archive
from tests.serving import ALLOW_GET, write


def request(
    path: Path, *, timeout_s: float = 60, known: str | None = None, entrypoint: str = "envoy/authz/allow", version: int = 1
) -> CompileRequest:
    return CompileRequest(Paths((str(path),)), entrypoint, version, timeout_s, known)


def compile_now(request: CompileRequest) -> CompileResponse:
    return asyncio.run(compile_in_process(request))


def with_worker(program: str, timeout_s: float = 60) -> CompileResponse:
    """Let a stand-in for the worker misbehave."""
    return asyncio.run(compile_in_process(request(Path(), timeout_s=timeout_s), (sys.executable, "-c", program)))


def test_a_policy_compiled_elsewhere_decides_here(tmp_path: Path) -> None:
    response = compile_now(request(write(tmp_path, {"a.rego": ALLOW_GET})))
    assert isinstance(response, Compiled)
    entry = rego.Policy.from_bytes(response.policy).entrypoint("envoy/authz/allow")
    document = {"attributes": {"request": {"http": {"method": "GET"}}}}
    assert entry.decide(document) is True


def test_what_is_active_already_is_not_compiled_again(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": ALLOW_GET})
    first = compile_now(request(tmp_path))
    assert isinstance(first, Compiled)
    assert compile_now(request(tmp_path, known=first.digest)) == Unchanged(first.revision)


def test_a_policy_that_does_not_compile_is_reported_with_file_and_line(tmp_path: Path) -> None:
    response = compile_now(request(write(tmp_path, {"a.rego": "package a\n\np if x\n"})))
    assert isinstance(response, Failed)
    assert response.code == ErrorCode.POLICY_COMPILE
    assert f"{tmp_path}/a.rego:3:6" in response.message


def test_an_entry_point_that_no_module_defines_is_reported(tmp_path: Path) -> None:
    response = compile_now(request(write(tmp_path, {"a.rego": ALLOW_GET}), entrypoint="no/such/rule"))
    assert isinstance(response, Failed)
    assert "no/such/rule" in response.message


def test_v0_is_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package envoy.authz\n\nallow { input.x }\n"})
    assert isinstance(compile_now(request(tmp_path, version=0)), Compiled)
    assert isinstance(compile_now(request(tmp_path, version=1)), Failed)


def test_a_message_with_half_a_surrogate_pair_is_reported(tmp_path: Path) -> None:
    write(tmp_path, {"a.rego": "package a", "data.json": '{"\\ud800": 1, "\\ud800": 2}'})
    response = compile_now(request(tmp_path))
    assert isinstance(response, Failed)
    assert r"key `\ud800` appears twice" in response.message


@pytest.mark.parametrize("edits", [1, 3])
def test_files_that_change_while_they_are_read_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edits: int) -> None:
    write(tmp_path, {"a.rego": "package a"})
    texts = [f"package a\n{'x' * number} := 1" for number in range(1, edits + 1)]

    def read_then_edit(paths: Iterable[Path]) -> PolicySource:
        source = read_source(paths)
        if texts:
            write(tmp_path, {"a.rego": texts.pop(0)})
        return source

    monkeypatch.setattr(compile_worker, "read_source", read_then_edit)
    monkeypatch.setattr(settling, "PAUSE_S", 0)
    assert list(compile_worker.load_settled([tmp_path]).modules.values()) == [f"package a\n{'x' * edits} := 1"]


def test_files_that_never_stand_still_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_then_edit(paths: Iterable[Path]) -> PolicySource:
        source = read_source(paths)
        (text,) = source.modules.values()
        write(tmp_path, {"a.rego": text + "\n"})
        return source

    write(tmp_path, {"a.rego": "package a"})
    monkeypatch.setattr(compile_worker, "read_source", read_then_edit)
    monkeypatch.setattr(settling, "PAUSE_S", 0)
    with pytest.raises(SourceError, match="change faster than they can be read"):
        compile_worker.load_settled([tmp_path])


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.rego")
    assert compile_now(request(tmp_path)) == Failed(ErrorCode.POLICY_SOURCE, f"{tmp_path}/a.rego: not a regular file")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the compiler ended with signal SIGSEGV"),
        ("raise MemoryError('too large')", "the compiler ended with status 1: MemoryError: too large"),
        ("import sys; sys.exit(3)", "the compiler ended with status 3"),
        ("print('not msgpack')", "the compiler gave no answer"),
        ("pass", "the compiler gave no answer"),
    ],
)
def test_a_worker_that_dies_is_an_error_and_not_ours(program: str, message: str) -> None:
    response = with_worker(program)
    assert isinstance(response, Failed)
    assert response.code == ErrorCode.POLICY_COMPILE
    assert response.message.startswith(message)


def test_a_worker_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"import os, threading; open({str(pid_file)!r}, 'w').write(str(os.getpid())); threading.Event().wait()"
    response = with_worker(program, timeout_s=1)
    assert isinstance(response, Failed)
    assert response.message == "the compiler took longer than 1 s and was stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_worker_that_cannot_be_started_is_an_error() -> None:
    response = asyncio.run(compile_in_process(request(Path()), ("/no/such/python",)))
    assert response == Failed(ErrorCode.POLICY_COMPILE, "the compiler could not be started: No such file or directory")


def test_a_cancelled_compile_leaves_no_worker(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    program = f"import os, threading; open({str(pid_file)!r}, 'w').write(str(os.getpid())); threading.Event().wait()"

    async def cancel_midway() -> int:
        task = asyncio.create_task(compile_in_process(request(Path()), (sys.executable, "-c", program)))
        pid = int(await asyncio.to_thread(pid_file.read_text))  # a FIFO: returns once the worker has written
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(cancel_midway()), 0)


def test_a_bundle_is_compiled_like_a_directory(tmp_path: Path) -> None:
    bundle = tmp_path / "policy.tar.gz"
    bundle.write_bytes(archive({"a.rego": ALLOW_GET, ".manifest": '{"revision": "7"}'}))
    response = compile_now(request(bundle))
    assert isinstance(response, Compiled)
    assert response.revision == "7"


def test_a_bundle_of_the_same_revision_is_compiled_again_if_it_holds_something_else(tmp_path: Path) -> None:
    bundle = tmp_path / "policy.tar.gz"
    bundle.write_bytes(archive({"a.rego": ALLOW_GET, ".manifest": '{"revision": "7"}'}))
    first = compile_now(request(bundle))
    assert isinstance(first, Compiled)
    assert compile_now(request(bundle, known=first.digest)) == Unchanged("7")
    bundle.write_bytes(archive({"a.rego": ALLOW_GET + "\n", ".manifest": '{"revision": "7"}'}))
    assert isinstance(compile_now(request(bundle, known=first.digest)), Compiled)


def test_a_bundle_that_is_none_is_reported(tmp_path: Path) -> None:
    bundle = tmp_path / "policy.tar.gz"
    bundle.write_bytes(b"<html>")
    response = compile_now(request(bundle))
    assert isinstance(response, Failed)
    assert (response.code, response.message) == (ErrorCode.BUNDLE, f"bundle {bundle}: archive read failed: gzip: invalid header")
