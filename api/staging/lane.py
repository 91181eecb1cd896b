"""Steps that threads do one after the other, for one body.

The next ones wait beside the thread, which so needn't wait for the loop between two of them.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

Step = Callable[[], None]
TURN = 8
"""Steps after which a thread sees to others first."""


class Lane:
    """One step at a time, in the order in which they are put. Steps raise nothing.

    `put` and `done` are the loop's.
    """

    def __init__(self, start: Callable[[Step], "Future[None]"]) -> None:
        """`start` has a thread do something, sooner or later; in any thread. It raises
        `RuntimeError`, or what it returns is cancelled, once there are no threads any more."""
        self._start = start
        self._lock = threading.Lock()
        self._steps: deque[Step] = deque()
        self._is_busy = False
        self._is_over = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._done = 0
        self.count = 0
        """Steps that were put."""

    def put(self, step: Step) -> None:
        """Have `step` be done after those before it."""
        self.count += 1
        with self._lock:
            self._steps.append(step)
            if self._is_busy:
                return
            self._is_busy = True
        self._go_on()

    async def done(self, count: int) -> None:
        """Until so many of the steps that were put are done. They are, too, if who waits is
        cancelled. It is itself cancelled where no thread will do them."""
        with self._lock:
            if self._done >= count:
                return
            if self._is_over:
                raise asyncio.CancelledError
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, waiter))
        await waiter

    def _go_on(self) -> None:
        try:
            self._start(self._run).add_done_callback(self._unless_begun)
        except RuntimeError:
            self._end()

    def _unless_begun(self, begun: "Future[None]") -> None:
        if begun.cancelled():
            self._end()

    def _end(self) -> None:
        """Keep nobody waiting for what isn't done any more."""
        with self._lock:
            self._is_over = True
            waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            waiter.get_loop().call_soon_threadsafe(waiter.cancel)

    def _run(self) -> None:
        for _ in range(TURN):
            step = self._next()
            if step is None:
                return
            step()
            del step  # with the bytes that it has
            self._tell()
        self._go_on()

    def _next(self) -> Step | None:
        with self._lock:
            self._is_busy = bool(self._steps)
            return self._steps.popleft() if self._steps else None

    def _tell(self) -> None:
        with self._lock:
            self._done += 1
            ready = [waiter for count, waiter in self._waiting if count <= self._done]
            self._waiting = [each for each in self._waiting if each[0] > self._done]
        for waiter in ready:
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
