"""The stack of `./longshore up`, with its worker far away from the object store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dev import ports, seaweedfs
from dev.bench.delay import Distance
from dev.bench.own_stack import running_stack
from dev.child import Child, Spec
from dev.ports import free_port
from dev.stack import Stack
from dev.state import StateDir


@asynccontextmanager
async def distant_stack(
    folder: Path, redis: str, round_trip: float
) -> AsyncIterator[tuple[dict[str, Any], str]]:
    """What stack.json says of it, and the store's URL as it is reached from far away."""
    chosen = ports.choose({}, free_port(), ports.is_free)
    distance = Distance(chosen["s3"], round_trip)
    async with distance.open():
        far = f"http://127.0.0.1:{distance.port}"
        async with running_stack(_Stack(StateDir(folder), chosen, redis, far)) as stack:
            yield stack.services.described({}), far


class _Stack(Stack):
    def __init__(self, state: StateDir, chosen: ports.Ports, redis: str, far: str) -> None:
        self._far = far
        super().__init__(state, chosen, redis, seaweedfs.ensure())

    def _child(self, spec: Spec) -> Child:
        if spec.name != "worker":
            return super()._child(spec)
        near = spec.env
        return super()._child(replace(spec, env=lambda: {**near(), "S3_ENDPOINT_URL": self._far}))
