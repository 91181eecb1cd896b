"""What a filter of system calls decides, call by call, without a process that it would hold."""

import platform
import struct
from collections.abc import Sequence

import pytest

from worker.confinement import seccomp
from worker.decoder import seccomp as decoding

LOAD, EQUALS, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""The instructions of classic BPF that filters are made of (linux/bpf_common.h)."""
ALLOWED, REFUSED, ENDS = 0x7FFF0000, 0x00050000, 0x80000000
NUMBERS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64."""
CALL, OTHER, NEW_THREAD = 56, 57, 0x10000
EPERM, ENOSYS = 1, 38

pytestmark = pytest.mark.skipif(
    platform.machine() not in NUMBERS, reason="no filter is known for this processor"
)


def decided(filter_: bytes, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would answer to a call: seccomp_data through the filter."""
    own = NUMBERS[platform.machine()] if architecture is None else architecture
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, own, 0, *given)
    steps = [struct.unpack_from("=HBBI", filter_, at) for at in range(0, len(filter_), 8)]
    at, value = 0, 0
    while True:
        code, if_true, if_false, constant = steps[at]
        at += 1
        if code == RETURN:
            return int(constant)
        if code == LOAD:
            (value,) = struct.unpack_from("=I", data, constant)
            continue
        is_true = {
            EQUALS: value == constant,
            AT_LEAST: value >= constant,
            ANY_BIT: bool(value & constant),
        }[code]
        at += if_true if is_true else if_false


def filtered(*rules: bytes, otherwise: bytes | None = None) -> bytes:
    return seccomp.BEGINNING + b"".join(rules) + (otherwise or seccomp.answer())


@pytest.mark.parametrize("flags", [NEW_THREAD, NEW_THREAD | 0x100, 0xFFFFFFFF])
def test_a_thread_may_be_started_where_all_else_is_refused(flags: int) -> None:
    rules = filtered(seccomp.allow_threads(CALL), otherwise=seccomp.answer(EPERM))
    assert decided(rules, CALL, flags) == ALLOWED
    assert decided(rules, OTHER, flags) == REFUSED | EPERM


@pytest.mark.parametrize("flags", [0, 0x11, NEW_THREAD << 1, NEW_THREAD - 1])
def test_no_process_may_be_started_though_all_else_is_allowed(flags: int) -> None:
    rules = filtered(seccomp.allow_threads(CALL))
    assert decided(rules, CALL, flags) == REFUSED | EPERM
    assert decided(rules, OTHER, flags) == ALLOWED


@pytest.mark.parametrize("argument", [0, 1, 2])
def test_a_call_may_be_made_with_some_values_of_one_argument_and_no_others(argument: int) -> None:
    rules = filtered(seccomp.allow_if(CALL, argument, (3, 7)))
    for value, answer in ((3, ALLOWED), (7, ALLOWED), (4, REFUSED | EPERM), (0, REFUSED | EPERM)):
        given = [9, 9, 9]
        given[argument] = value
        assert decided(rules, CALL, *given) == answer
    assert decided(rules, OTHER, 4, 4, 4) == ALLOWED


def test_of_an_argument_only_its_lower_half_counts() -> None:
    assert decided(filtered(seccomp.allow_if(CALL, 0, (3,))), CALL, 9 << 32 | 3) == ALLOWED


def test_a_call_is_refused_alone_or_with_all_above_it() -> None:
    alone = filtered(seccomp.refuse(CALL))
    assert [decided(alone, each) for each in (55, 56, 57)] == [ALLOWED, REFUSED | EPERM, ALLOWED]
    from_here = filtered(seccomp.refuse_from(CALL, ENOSYS))
    answers = [decided(from_here, each) for each in (55, 56, 57)]
    assert answers == [ALLOWED, REFUSED | ENOSYS, REFUSED | ENOSYS]


def test_a_call_is_allowed_alone() -> None:
    rules = filtered(seccomp.allow(CALL), otherwise=seccomp.answer(EPERM))
    answers = [decided(rules, each) for each in (55, 56, 57)]
    assert answers == [REFUSED | EPERM, ALLOWED, REFUSED | EPERM]


@pytest.mark.parametrize("architecture", [0, 0x40000003, 0xC0000015])
def test_a_call_of_another_architecture_ends_the_process(architecture: int) -> None:
    assert decided(filtered(), CALL, architecture=architecture) == ENDS


def _number(x86_64: int, aarch64: int) -> int:
    return x86_64 if platform.machine() == "x86_64" else aarch64


def _while_decoding(numbers: Sequence[int], *arguments: int) -> int:
    return decided(decoding._FIRST + decoding._LAST, _number(*numbers), *arguments)


def test_decoding_may_read_and_start_threads_and_nothing_that_reaches_others() -> None:
    assert _while_decoding((0, 63)) == ALLOWED
    assert _while_decoding((56, 220), NEW_THREAD) == ALLOWED
    assert _while_decoding((56, 220), 0x11) == REFUSED | EPERM
    assert _while_decoding((41, 198)) == REFUSED | EPERM, "a socket"
    assert _while_decoding((435, 435)) == REFUSED | ENOSYS, "clone3, which hides its flags"
