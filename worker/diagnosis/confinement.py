"""What the kernel of this machine takes from a child that confines itself."""

from shared.finding import Finding, ok, warning

_CLOSED = ("files", "network", "processes")
_HOW = {
    "files": "it may read what the worker may (no Landlock: Linux 5.13 or newer has it)",
    "network": "it may open connections (no seccomp filter for this kernel or processor)",
    "processes": "it may start programs (no seccomp filter for this kernel or processor)",
}


def closed(name: str, held: list[str]) -> list[Finding]:
    """`held` is what `confine` returned. What stays open is a warning: limits of memory, time and
    size hold everywhere."""
    open_ones = [warning(name, _HOW[each]) for each in _CLOSED if each not in held]
    return open_ones or [ok(name, "has no way to other files, the network or new processes")]
