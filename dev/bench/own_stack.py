"""The stack of `./longshore up` within a bench."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dev import ports, seaweedfs
from dev.child import DidNotStart
from dev.ports import free_port
from dev.say import Problem
from dev.stack import Stack
from dev.state import StateDir


@asynccontextmanager
async def own_stack(folder: Path, redis: str) -> AsyncIterator[Stack]:
    """In a folder and on ports of its own, until this ends."""
    chosen = ports.choose({}, free_port(), ports.is_free)
    async with running_stack(Stack(StateDir(folder), chosen, redis, seaweedfs.ensure())) as stack:
        yield stack


@asynccontextmanager
async def running_stack(stack: Stack) -> AsyncIterator[Stack]:
    """Started, and stopped in the end."""
    try:
        await stack.start()
        yield stack
    except DidNotStart as error:
        raise Problem(f"bench: {error}: {stack.logs[error.name].last_lines(1)}") from None
    finally:
        await stack.stop()
