"""A child's answers come through a pipe whose descriptor is closed once, and never another's."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any, TypeVar

import pytest
import uvloop

from worker.pipe_reader import PipeReader

T = TypeVar("T")
NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS: tuple[NewLoop, ...] = (uvloop.new_event_loop, asyncio.new_event_loop)
MIB = 1024 * 1024
CHUNK = 16 * 1024


@pytest.mark.parametrize("new_loop", LOOPS)
def test_what_is_written_is_read_to_its_end(new_loop: NewLoop) -> None:
    async def read() -> bytes:
        descriptor, writing = _pipe()
        with closing(PipeReader(descriptor)) as reader:
            sending = asyncio.to_thread(_send, writing, b"line\n" * MIB)
            received, _ = await asyncio.gather(reader.stream.read(), sending)
            return received

    assert _run(new_loop, read) == b"line\n" * MIB


@pytest.mark.parametrize("new_loop", LOOPS)
def test_who_writes_more_than_is_taken_has_to_wait(new_loop: NewLoop) -> None:
    async def fill() -> int:
        descriptor, writing = _pipe()
        os.set_blocking(writing.fileno(), False)
        written = 0
        with writing, closing(PipeReader(descriptor)):
            for _ in range(200):
                written += writing.write(bytes(CHUNK)) or 0
                await asyncio.sleep(0)
        return written

    assert _run(new_loop, fill) < MIB


@pytest.mark.parametrize("new_loop", LOOPS)
def test_no_file_of_a_thread_is_closed_with_a_pipe(new_loop: NewLoop) -> None:
    async def come_and_go() -> None:
        for _ in range(2000):
            descriptor, writing = _pipe()
            with closing(PipeReader(descriptor)) as reader:
                writing.close()
                assert await reader.stream.read() == b""

    with _threads_that_use_files() as failures:
        _run(new_loop, come_and_go)
    assert failures == []


def _run(new_loop: NewLoop, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())


def _pipe() -> tuple[int, IO[bytes]]:
    descriptor, writing = os.pipe()
    return descriptor, os.fdopen(writing, "wb", buffering=0)


def _send(pipe: IO[bytes], content: bytes) -> None:
    with pipe:
        pipe.write(content)


@contextmanager
def _threads_that_use_files() -> Iterator[list[OSError]]:
    failures: list[OSError] = []
    done = threading.Event()

    def use_files() -> None:
        while not done.is_set():
            try:
                with tempfile.TemporaryFile() as file:
                    file.write(b"mine")
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=use_files) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        done.set()
        for thread in threads:
            thread.join()
