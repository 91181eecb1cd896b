"""What a lost Redis looks like to the worker, and that it waits for it."""

import socket
import struct
import threading

import pytest
import uvloop

from worker.redis_watch import LOST, RedisWatch


def test_a_redis_that_resets_each_connection_is_lost_and_ends_nothing() -> None:
    """The address takes connections and resets them, as a proxy does whose Redis is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stop = threading.Event()
        thread = threading.Thread(target=_reset_all, args=(server, stop))
        thread.start()
        try:
            watch = RedisWatch(f"redis://:secret@127.0.0.1:{port}/0")
            assert [uvloop.run(watch.answers()) for _ in range(20)] == [False] * 20
        finally:
            stop.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), AttributeError("x")])
def test_what_uvloop_makes_of_a_reset_counts_as_lost(error: Exception) -> None:
    assert isinstance(error, LOST)


def _reset_all(server: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        connection, _ = server.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
