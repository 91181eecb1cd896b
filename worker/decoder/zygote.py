"""The zygote: a process that has loaded all a decoder needs, has touched no file, and is forked.

`python -m worker.decoder.zygote`, with a socket as stdin. The worker sends it three open files and
a socket for each file to decode; a child gets the files as its standard streams, confines itself,
does its one file and ends. Some children, the spares, are forked before there are files for them:
what a process costs to begin is paid while nobody waits. Each gets one file, as any child.

Only the zygote, their parent, kills and buries children, so that no process id is ever taken for
another's:

- When the worker shuts the child's socket, the child is killed with all it started.
- When the child has ended, its exit status is sent through that socket, which is then closed. A
  socket that closes without one tells that the zygote has died, and with it every child.
- When the worker closes the zygote's own socket, the zygote ends with its last child. The spares
  end at once.
"""

import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from worker.decoder import child
from worker.decoder.confine import NEEDED_WHEN_LOADED, die_with
from worker.decoder.preload import preload
from worker.decoder.rehearsal import rehearse

OPEN_FILES = 1024
"""Of which each child in flight takes two."""
SPARES = 2
"""To fork one takes as long as a small file does. Where such files come one after the other, the
second spare is there while the first one's place is filled again."""
_STREAMS = 3
_MESSAGE_BYTES = 64


@dataclass(eq=False)
class _Child:
    pid: int
    ending: int
    """A descriptor of the process, readable once it has ended."""
    door: socket.socket
    """What its streams are sent through."""
    worker: socket.socket | None = None
    """Who waits for its end: nobody, as long as it is a spare."""
    is_kept: bool = True
    """Whether the worker still wants it."""


@dataclass(frozen=True)
class Life:
    """What a child does."""

    work: Callable[[int], None]
    """One file, whose request is on stdin; it gets the process id of its parent."""
    rehearse: Callable[[], None] = lambda: None
    """What it does while it waits for that, with no file and one thread."""


def main(parent_pid: int, life: Life) -> None:
    """Fork a child for each file, until the worker hangs up."""
    die_with(parent_pid)
    preload()
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = OPEN_FILES if highest == resource.RLIM_INFINITY else min(OPEN_FILES, highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.close(os.pidfd_open(os.getpid()))  # raises where the kernel is too old
    gc.collect()
    gc.freeze()  # else the first collection in each child would copy every page
    with socket.socket(fileno=os.dup(0)) as orders:
        threads = len(list(Path("/proc/self/task").iterdir()))
        orders.send(json.dumps({"threads": threads}).encode())
        _Zygote(orders, life).run()


class _Zygote:
    def __init__(self, orders: socket.socket, life: Life) -> None:
        self._orders = orders
        self._life = life
        self._spares: deque[_Child] = deque()
        self._is_asked = True
        """Whether there may be another file."""
        self._selector = selectors.DefaultSelector()
        self._watch(orders.fileno(), self._take_order)

    def run(self) -> None:
        self._keep_spares()
        while watched := self._selector.get_map():
            for key, _ in self._selector.select():
                if watched.get(key.fd) is key:  # an event before this one may have closed it
                    key.data()

    def _watch(self, descriptor: int, act: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _take_order(self) -> None:
        message, files, *_ = socket.recv_fds(self._orders, _MESSAGE_BYTES, _STREAMS + 1)
        if not message:
            self._selector.unregister(self._orders.fileno())
            self._is_asked = False
            for spare in self._spares:
                spare.door.close()
            return
        *streams, last = files
        worker = socket.socket(fileno=last)
        try:
            child = self._hand_on(streams)
        except OSError as error:
            _tell(worker, {"error": str(error)})
            worker.close()
        else:
            child.worker = worker
            self._watch(worker.fileno(), partial(self._kill, child, worker))
        finally:
            for each in streams:
                os.close(each)

    def _hand_on(self, streams: list[int]) -> _Child:
        """The child that has `streams` now. Raises `OSError` when there is no process to be had."""
        while self._spares:
            spare = self._spares.popleft()
            with contextlib.suppress(ConnectionError), spare.door:  # it died as it waited
                socket.send_fds(spare.door, [b"file"], streams)
                return spare
        child = self._fork()
        with child.door:
            socket.send_fds(child.door, [b"file"], streams)
        return child

    def _keep_spares(self) -> None:
        """Not while a child has just begun: both would wait for the same pages."""
        with contextlib.suppress(OSError):  # then one is tried to be had when it is needed
            while len(self._spares) < SPARES:
                self._spares.append(self._fork())

    def _fork(self) -> _Child:
        own_pid = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.fork()
                if pid == 0:
                    _live(theirs.fileno(), own_pid, self._life)
            except OSError:
                ours.close()
                raise
        child = _Child(pid, os.pidfd_open(pid), ours)
        self._watch(child.ending, partial(self._bury, child))
        return child

    def _kill(self, child: _Child, hung_up: socket.socket) -> None:
        self._selector.unregister(hung_up)
        child.is_kept = False
        signal.pidfd_send_signal(child.ending, signal.SIGKILL)

    def _bury(self, ended: _Child) -> None:
        """Kill what it may have started, while its process id is still taken; then let that go."""
        with contextlib.suppress(ProcessLookupError):  # it ended before it had a group of its own
            os.killpg(ended.pid, signal.SIGKILL)
        _, status, used = os.wait4(ended.pid, 0)
        self._selector.unregister(ended.ending)
        os.close(ended.ending)
        if ended in self._spares:
            self._spares.remove(ended)
            ended.door.close()
        if worker := ended.worker:
            if ended.is_kept:
                self._selector.unregister(worker)
            exit_code = os.waitstatus_to_exitcode(status)
            cpu_seconds = used.ru_utime + used.ru_stime
            _tell(worker, {"exit_code": exit_code, "cpu_seconds": cpu_seconds})
            worker.close()
            if self._is_asked:
                self._keep_spares()


def _tell(worker: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # it is gone
        worker.send(json.dumps(message).encode())


def _live(door: int, zygote_pid: int, life: Life) -> NoReturn:
    """The life of a child, which never gets back to what the zygote was doing.

    The objects that own the zygote's descriptors stay alive above, so none closes another's.
    """
    status = 1
    try:
        die_with(zygote_pid)
        os.setpgid(0, 0)  # a session of its own would cost some milliseconds, and do no more
        os.dup2(door, 0)
        os.closerange(_STREAMS, OPEN_FILES)
        life.rehearse()
        if _take_streams():
            life.work(zygote_pid)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            sys.stderr.write(end.code)
    except BaseException:  # noqa: BLE001 - nothing may get back to the zygote's work
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _take_streams() -> bool:
    """Wait for them at the door, which is stdin until then. False when none will come."""
    door = socket.socket(fileno=0)
    message, streams, *_ = socket.recv_fds(door, _MESSAGE_BYTES, _STREAMS)
    door.detach()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return bool(message)


def decode(parent_pid: int) -> None:
    child.main(parent_pid=parent_pid, readable=NEEDED_WHEN_LOADED)


if __name__ == "__main__":
    main(int(sys.argv[1]), Life(decode, rehearse))
