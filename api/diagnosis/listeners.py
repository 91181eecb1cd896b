"""Whether both listeners can have their addresses."""

import errno
import socket

from api.settings.settings import Settings
from shared.finding import Finding, ok, wrong


def check_listeners(settings: Settings) -> list[Finding]:
    """Binds each address for a moment. A running api holds its own: `api.check` knows."""
    return [
        _listener("HOST", "PORT", settings.host, settings.port),
        _listener("INTERNAL_HOST", "INTERNAL_PORT", settings.internal_host, settings.internal_port),
    ]


def _listener(host_name: str, port_name: str, host: str, port: int) -> Finding:
    where = f"{host}:{port}"
    try:
        for family, kind, number, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, number) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except socket.gaierror:
        return wrong(host_name, f"{host!r} is no address; it looks like 127.0.0.1")
    except OSError as error:
        return _refused(host_name, port_name, where, error)
    return ok(port_name, f"{where} is free")


def _refused(host_name: str, port_name: str, where: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return wrong(port_name, f"{where} is in use; stop what listens there, or take another")
    if error.errno == errno.EADDRNOTAVAIL:
        return wrong(host_name, f"{where} is no address of this machine; correct it")
    if error.errno == errno.EACCES:
        return wrong(port_name, f"{where} needs privileges; take a port above 1023")
    return wrong(port_name, f"{where} can't be listened on ({error.strerror})")
