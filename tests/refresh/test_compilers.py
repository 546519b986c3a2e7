"""Compile processes that are started ahead: they answer like those that are not, and none is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authz.errors import ErrorCode
from authz.refresh import compiler_process
from authz.refresh.compiler_process import NICENESS, WORKER, Command, CompilerProcess
from authz.refresh.compilers import Compilers
from authz.refresh.messages import Bundles, CompileRequest, EvaluateRequest, Failed
from authz.refresh.spool import SpoolError
from tests.outbound.upstream import run, until
from tests.refresh.test_spool import descriptors, no_descriptors

REQUEST = CompileRequest(Bundles(()), "a/b", 1, 60.0)

PROGRAM = """
import os, sys
from authz.refresh.messages import Failed, encode
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}} ")
asked = sys.stdin.buffer.read()
archives = os.pread(int(sys.argv[1]), 100, 0).decode()
if asked:
    sys.stdout.buffer.write(encode(Failed("pid", str(os.getpid()), archives)))
"""


def stand_in(log: Path) -> Command:
    """Return a compiler that writes its process id into a file when it starts, and answers with it and what it was sent."""
    log.touch()
    return (sys.executable, "-c", PROGRAM.format(log=str(log)))


def started(log: Path) -> list[int]:
    return [int(text) for text in log.read_text().split()]


@asynccontextmanager
async def compilers(command: Command, *, is_ahead: bool = True, pause_s: float = 0.0) -> AsyncIterator[Compilers]:
    made = Compilers(is_ahead=is_ahead, pause_s=pause_s, command=command)
    try:
        yield made
    finally:
        await made.close()


async def answer(made: Compilers, *archives: bytes) -> tuple[int, str | None]:
    """Ask; return who answered, and what he was sent."""
    response = await made.compile(REQUEST, archives)
    assert isinstance(response, Failed)
    assert response.code == "pid", response
    return int(response.message), response.help


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_that_waits_answers_and_another_one_is_started(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log)) as made:
            made.prepare()
            await until(lambda: len(started(log)) == 1)
            assert await answer(made, b"ab", b"c") == (started(log)[0], "abc")
            await until(lambda: len(started(log)) == 2)
            assert await answer(made, b"d") == (started(log)[1], "d")

    run(test())


def test_the_process_that_waits_gives_way_to_checks_but_the_first_one_does_not(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log)) as made:
            made.prepare()
            await until(lambda: len(started(log)) == 1)
            assert os.getpriority(os.PRIO_PROCESS, started(log)[0]) == 0
            await answer(made)
            await until(lambda: len(started(log)) == 2)
            assert os.getpriority(os.PRIO_PROCESS, started(log)[1]) == NICENESS

    run(test())


def test_without_it_a_process_is_started_when_it_is_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log), is_ahead=False) as made:
            made.prepare()
            for number in (1, 2):
                assert (await answer(made))[0] == started(log)[-1]
                assert len(started(log)) == number

    run(test())


def test_one_that_was_killed_while_it_waited_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log)) as made:
            made.prepare()
            await until(lambda: len(started(log)) == 1)
            os.kill(started(log)[0], signal.SIGKILL)
            await until(lambda: not exists(started(log)[0]))
            assert (await answer(made))[0] == started(log)[1]

    run(test())


def test_one_that_is_killed_at_the_moment_it_is_asked_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        process = await CompilerProcess.start((*stand_in(log), "0"), is_beside_checks=False)
        os.kill(process.pid, signal.SIGKILL)
        pipe = process._process.get_pipe_transport(0)
        assert pipe is not None
        await until(pipe.is_closing)  # the channel may know of it before it is known that the process has ended
        response = await process.ask(REQUEST)
        assert response == Failed(ErrorCode.POLICY_COMPILE, "the compiler ended with signal SIGKILL")

    run(test())


def test_requests_at_the_same_time_are_all_answered(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log)) as made:
            made.prepare()
            found = await asyncio.gather(*(answer(made, str(number).encode()) for number in range(4)))
            assert [text for _, text in found] == ["0", "1", "2", "3"]
            assert len({pid for pid, _ in found}) == 4

    run(test())


def test_a_request_before_the_pause_is_over_does_not_wait_for_it(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log), pause_s=3600) as made:
            await answer(made)
            await answer(made)
            assert len(started(log)) == 2

    run(test())


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        await asyncio.to_thread(str)  # the thread is there from now on
        async with compilers(stand_in(log), is_ahead=False) as made:
            await answer(made)  # so is whatever watches children
        before = descriptors()
        async with compilers(stand_in(log)) as made:
            await answer(made)
            await until(lambda: len(started(log)) == 3)
        assert not any(map(exists, started(log)))
        assert descriptors() <= before

    run(test())


SLEEPER = """
import os, signal, sys
sys.stdin.buffer.read()
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}} ")
signal.pause()
"""


def test_a_request_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    async def test() -> None:
        async with compilers((sys.executable, "-c", SLEEPER.format(log=str(log)))) as made:
            made.prepare()
            for number in (1, 2):
                task = asyncio.create_task(made.compile(REQUEST, ()))
                await until(lambda number=number: len(started(log)) == number)  # type: ignore[misc]
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert not exists(started(log)[-1])

    run(test())


def test_one_that_cannot_be_started_is_reported_to_the_request_that_needs_it() -> None:
    async def test() -> None:
        async with compilers(("/no/such/python",)) as made:
            made.prepare()
            expected = Failed(ErrorCode.POLICY_COMPILE, "the compiler could not be started: No such file or directory")
            assert await made.compile(REQUEST, ()) == expected
            assert await made.evaluate(EvaluateRequest(Bundles(()), (), "{}", 1, 60.0), ()) == expected

    run(test())


def test_where_no_file_can_be_opened_the_request_says_so_and_the_next_one_works(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def test() -> None:
        async with compilers(stand_in(log), is_ahead=False) as made:
            with no_descriptors(), pytest.raises(SpoolError, match="open files"):
                await made.compile(REQUEST, ())
            await answer(made)

    run(test())


def test_an_answer_to_something_else_is_none() -> None:
    program = "from authz.refresh.messages import *; import sys; sys.stdout.buffer.write(encode(Unchanged('r')))"

    async def test() -> None:
        async with compilers((sys.executable, "-c", program), is_ahead=False) as made:
            found = await made.evaluate(EvaluateRequest(Bundles(()), (), "{}", 1, 60.0), ())
            assert found == compiler_process.nonsense()

    run(test())


ORPHANED = """
import asyncio, os, signal
from authz.refresh.compilers import Compilers

async def main():
    compilers = Compilers()
    compilers.prepare()
    compiler = await compilers._next
    print(compiler.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_the_process_that_waits_ends_with_its_service_however_that_ends() -> None:
    service = subprocess.run([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, check=False)
    assert service.returncode == -signal.SIGKILL
    try:
        waiting = os.pidfd_open(int(service.stdout))
    except ProcessLookupError:
        return  # it was quick
    try:
        assert select.select([waiting], [], [], 30)[0]
    finally:
        os.close(waiting)


def test_a_compiler_that_is_asked_nothing_says_nothing() -> None:
    asked = subprocess.run(WORKER, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert (asked.stdout, asked.stderr) == (b"", b"")
