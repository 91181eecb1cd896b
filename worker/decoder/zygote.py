"""The zygote: a process that has loaded all a decoder needs, has touched no file, and is forked.

`python -m worker.decoder.zygote`, with a socket as stdin. The worker sends it three open files and
a socket for each file to decode; a child gets the files as its standard streams, confines itself,
does its one file and ends. Only the zygote, their parent, kills and buries children, so that no
process id is ever taken for another's:

- When the worker shuts the child's socket, the child is killed with all it started.
- When the child has ended, its exit status is sent through that socket, which is then closed. A
  socket that closes without one tells that the zygote has died, and with it every child.
- When the worker closes the zygote's own socket, the zygote ends with its last child.
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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from worker.decoder import child
from worker.decoder.confine import NEEDED_WHEN_LOADED, die_with
from worker.decoder.preload import preload

OPEN_FILES = 1024
"""Of which each child in flight takes two."""
_SENT_FILES = 4
_MESSAGE_BYTES = 64


@dataclass(eq=False)
class _Child:
    pid: int
    ending: int
    """A descriptor of the process, readable once it has ended."""
    worker: socket.socket
    is_kept: bool = True
    """Whether the worker still wants it."""


def main(parent_pid: int, work: Callable[[int], None]) -> None:
    """Fork a child that does `work` for each file, until the worker hangs up.

    `work` gets the process id of its parent.
    """
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
        _Zygote(orders, work).run()


class _Zygote:
    def __init__(self, orders: socket.socket, work: Callable[[int], None]) -> None:
        self._orders = orders
        self._work = work
        self._selector = selectors.DefaultSelector()
        self._watch(orders.fileno(), self._take_order)

    def run(self) -> None:
        while watched := self._selector.get_map():
            for key, _ in self._selector.select():
                if watched.get(key.fd) is key:  # an event before this one may have closed it
                    key.data()

    def _watch(self, descriptor: int, act: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _take_order(self) -> None:
        message, files, *_ = socket.recv_fds(self._orders, _MESSAGE_BYTES, _SENT_FILES)
        if not message:
            self._selector.unregister(self._orders.fileno())
            return
        *streams, last = files
        worker = socket.socket(fileno=last)
        own_pid = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                _live(streams, own_pid, self._work)
        except OSError as error:
            _tell(worker, {"error": str(error)})
            worker.close()
        else:
            born = _Child(pid, os.pidfd_open(pid), worker)
            self._watch(born.ending, partial(self._bury, born))
            self._watch(worker.fileno(), partial(self._kill, born))
        finally:
            for each in streams:
                os.close(each)

    def _kill(self, hung_up: _Child) -> None:
        self._selector.unregister(hung_up.worker.fileno())
        hung_up.is_kept = False
        signal.pidfd_send_signal(hung_up.ending, signal.SIGKILL)

    def _bury(self, ended: _Child) -> None:
        """Kill what it may have started, while its process id is still taken; then let that go."""
        with contextlib.suppress(ProcessLookupError):  # it ended before it had a group of its own
            os.killpg(ended.pid, signal.SIGKILL)
        _, status, used = os.wait4(ended.pid, 0)
        self._selector.unregister(ended.ending)
        os.close(ended.ending)
        if ended.is_kept:
            self._selector.unregister(ended.worker.fileno())
        cpu_seconds = used.ru_utime + used.ru_stime
        exit_code = os.waitstatus_to_exitcode(status)
        _tell(ended.worker, {"exit_code": exit_code, "cpu_seconds": cpu_seconds})
        ended.worker.close()


def _tell(worker: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # it is gone
        worker.send(json.dumps(message).encode())


def _live(streams: list[int], zygote_pid: int, work: Callable[[int], None]) -> NoReturn:
    """The life of a child, which never gets back to what the zygote was doing.

    The objects that own the zygote's descriptors stay alive above, so none closes another's.
    """
    status = 1
    try:
        die_with(zygote_pid)
        os.setpgid(0, 0)  # a session of its own would cost some milliseconds, and do no more
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(len(streams), OPEN_FILES)
        work(zygote_pid)
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


def decode(parent_pid: int) -> None:
    child.main(parent_pid=parent_pid, readable=NEEDED_WHEN_LOADED)


if __name__ == "__main__":
    main(int(sys.argv[1]), decode)
