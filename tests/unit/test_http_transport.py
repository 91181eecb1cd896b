"""The worker's connections to the api, on sockets that are there."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from worker.http_transport import AiohttpTransport

ANSWER = b"HTTP/1.1 409 Conflict\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\nover"


class Served:
    """What a server heard, and how many connections it was asked on."""

    def __init__(self, answers: list[bytes]) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._answers = answers

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self._answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            self.heard.append(head + await reader.readexactly(length))
            writer.write(self._answers.pop(0))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """A server that gives these answers, and then hangs up."""
    served = Served(list(answers))
    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


@asynccontextmanager
async def client(tls: ssl.SSLContext | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=AiohttpTransport(tls), trust_env=False) as opened:
        yield opened


async def test_a_call_arrives_as_it_was_made_and_its_answer_comes_whole() -> None:
    async with serving(ANSWER) as served, client() as http:
        url = httpx.URL(f"http://127.0.0.1:{served.port}/internal/uploads/upl_a/claim")
        headers, name = {"Host": "api.internal:81"}, {"sni_hostname": "api.internal"}
        answer = await http.post(url, json={"a": "b"}, headers=headers, extensions=name)
    assert (answer.status_code, answer.text) == (409, "over")
    assert answer.headers.get_list("x-a") == ["1", "2"]
    head, _, body = served.heard[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /internal/uploads/upl_a/claim http/1.1"
    assert [each for each in lines if each.startswith(b"host:")] == [b"host: api.internal:81"]
    assert body == b'{"a":"b"}'


async def test_calls_share_a_connection() -> None:
    async with serving(ANSWER, ANSWER, ANSWER) as served, client() as http:
        for _ in range(3):
            await http.get(f"http://127.0.0.1:{served.port}/")
    assert served.connections == 1


async def test_nobody_is_sent_elsewhere() -> None:
    away = b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(away) as served, client() as http:
        assert (await http.get(f"http://127.0.0.1:{served.port}/")).status_code == 307


@pytest.mark.parametrize("answers", [[], [b"no HTTP at all\r\n\r\n"], [ANSWER[:-1]]])
async def test_an_answer_that_is_missing_broken_or_cut_off_is_an_error_of_the_network(
    answers: list[bytes],
) -> None:
    async with serving(*answers) as served, client() as http:
        with pytest.raises(httpx.NetworkError):
            await http.post(f"http://127.0.0.1:{served.port}/", json={})


async def test_a_port_where_nobody_listens_is_a_connection_that_failed() -> None:
    async with serving() as served:
        pass
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://127.0.0.1:{served.port}/")


async def test_a_certificate_has_to_be_of_the_name_that_is_called_by_its_address(
    tmp_path: Path,
) -> None:
    ours, theirs = certified("api.internal", tmp_path)
    async with serving(ANSWER, tls=theirs) as served, client(ours) as http:
        url = f"https://127.0.0.1:{served.port}/"
        for name in ("another.internal", "127.0.0.1"):
            with pytest.raises(httpx.ConnectError):
                await http.get(url, extensions={"sni_hostname": name})
        answer = await http.get(url, extensions={"sni_hostname": "api.internal"})
    assert answer.text == "over"


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What trusts a certificate of `name`, and what shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown, secret = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(shown, secret)
    return ssl.create_default_context(cafile=str(shown)), theirs
