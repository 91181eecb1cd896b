import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import ports
from dev.say import Problem
from dev.seaweedfs import INNER_PORTS


def every_port_is_free(_port: int) -> bool:
    return True


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_first_run_takes_8000_and_free_ones_that_no_other_stack_asks_for() -> None:
    chosen = ports.choose({}, None, every_port_is_free)

    assert chosen.pop("public") == 8000
    assert set(chosen) == {"internal", "s3", "redis", *INNER_PORTS}
    assert len(set(chosen.values())) == len(chosen)
    assert all(port in ports.FREE for port in chosen.values())


def test_a_port_in_use_is_passed_over() -> None:
    chosen = ports.choose({}, 8000, lambda port: port % 2 == 0)

    assert all(port % 2 == 0 for port in chosen.values())


def test_two_starts_at_once_choose_different_ports_and_both_can_listen() -> None:
    one, other = ports.Reserved(), ports.Reserved()
    port = next(each for each in ports.FREE if one.take(each))

    assert not other.take(port)
    with socket.create_server(("127.0.0.1", port)):  # as the services do
        assert not ports.is_free(port)
    one.close()
    assert other.take(port)
    other.close()


def test_ports_asked_for_in_two_processes_all_differ_and_are_free_to_listen_on() -> None:
    asked = "from dev.ports import free_port; print(*(free_port() for _ in range(100))); input()"
    with subprocess.Popen(
        [sys.executable, "-c", asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin
        assert other.stdout
        theirs = other.stdout.readline().split()
        ours = [str(ports.free_port()) for _ in range(100)]
        with socket.create_server(("127.0.0.1", int(ours[0]))):
            other.communicate("\n")

    assert len({*ours, *theirs}) == 200


def test_a_later_run_keeps_its_ports() -> None:
    first = ports.choose({}, 8123, every_port_is_free)

    assert ports.choose(first, None, every_port_is_free) == first


def test_another_public_port_leaves_the_other_ports_as_they_are() -> None:
    first = ports.choose({}, 8000, every_port_is_free)

    assert ports.choose(first, 9000, every_port_is_free) == first | {"public": 9000}


def test_a_public_port_that_was_the_internal_one_gets_it_and_another_is_chosen() -> None:
    first = ports.choose({}, 8000, every_port_is_free)

    second = ports.choose(first, first["internal"], every_port_is_free)

    assert second["public"] == first["internal"]
    assert second["internal"] not in first.values()
    assert second["s3"] == first["s3"]


def test_the_public_port_never_takes_the_stores_which_stored_urls_hold() -> None:
    first = ports.choose({}, 8000, every_port_is_free)

    with pytest.raises(Problem, match="S3 endpoint"):
        ports.choose(first, first["s3"], every_port_is_free)


def test_a_public_port_in_use_is_refused_with_its_holder_and_the_way_out(listening: int) -> None:
    with pytest.raises(Problem, match=rf"port {listening} is in use.*--port") as refused:
        ports.check({"public": listening}, patience=0)

    if Path("/proc/self/fd").is_dir():
        assert f"process {os.getpid()}" in str(refused.value)


@pytest.mark.parametrize("name", ["internal", "redis", "s3_filer"])
def test_a_kept_port_that_no_stored_url_holds_gives_way_to_what_has_taken_it(
    listening: int, name: str
) -> None:
    first = ports.choose({}, 8123, every_port_is_free) | {name: listening}

    second = ports.choose(ports.still_ours(first, patience=0), None, lambda port: port != listening)

    assert second[name] != listening


def test_a_kept_port_in_use_points_at_its_holder_and_another_state_folder(listening: int) -> None:
    with pytest.raises(Problem, match="--state-dir"):
        ports.check({"s3": listening}, patience=0)
