"""SIGKILL of every service in turn, while people upload: all that was acknowledged is stored."""

import contextlib
import hashlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.client import FormClient
from tests.support.engine import PATIENCE, Deployment, EngineError, until
from tests.support.files import jpeg, pdf

UPLOADS = 60
SILENT_SECONDS = 5
"""After which a client tries again: nobody tells it that a killed container's address is gone."""
SERVICES = ("proxy", "api", "worker", "redis", "postgres", "objectstore")


def test_sixty_uploads_survive_the_killing_of_every_service_in_turn(running: Deployment) -> None:
    before = {name: _starts(running, name) for name in SERVICES}
    done = itertools.count(1)
    turn = threading.Lock()
    kills = {UPLOADS // (len(SERVICES) + 1) * n: name for n, name in enumerate(SERVICES, 1)}

    def send(number: int) -> tuple[FormClient, str, bytes]:
        content = jpeg(400 + number, 400) if number % 2 else pdf(pages=number + 1)
        field = "headshot" if number % 2 else "resume"
        form, answer = _persist(running, field, content)
        with turn:
            victim = kills.pop(next(done), None)
            if victim:
                _kill(running, victim)
        return form, str(answer.json()["id"]), hashlib.sha256(content).digest()

    with ThreadPoolExecutor(6) as people:
        ledger = list(people.map(send, range(UPLOADS)))
    assert not kills
    until(lambda: all(_starts(running, n) > before[n] for n in SERVICES), "all came back")
    for form, upload_id, digest in ledger:
        until(lambda form=form, upload_id=upload_id: _is_stored(form, upload_id), upload_id)  # type: ignore[misc] # of this turn
        assert bytes.fromhex(_read(form, upload_id)["sha256"]) == digest
        until(lambda form=form, upload_id=upload_id: _opens(form, upload_id), upload_id)  # type: ignore[misc] # of this turn


def _kill(running: Deployment, service: str) -> None:
    """Every process of the container but the one that starts it, which then ends by itself: an
    engine restarts no container that it was told to kill."""
    with contextlib.suppress(EngineError):  # this command ends with it
        running.execute(service, "sh", "-c", "kill -9 -1")


def _starts(running: Deployment, service: str) -> str:
    (container,) = running.containers(service)
    return str(container["State"]["StartedAt"])


def _persist(running: Deployment, field: str, content: bytes) -> tuple[FormClient, httpx.Response]:
    """As a client does that gets no answer: again, under the same key."""
    found: list[tuple[FormClient, httpx.Response]] = []
    tries: list[str] = []
    forms: list[FormClient] = []

    def sent() -> bool:
        try:
            form = forms[0] if forms else running.form(SILENT_SECONDS)
            forms[:] = [form]
            answer = form.put(field, "k", content)
            if answer.status_code == 202:
                found.append((form, answer))
            else:
                tries.append(answer.text)
        except (httpx.HTTPError, AssertionError) as error:
            tries.append(repr(error))
        return bool(found)

    try:
        until(sent, "never acknowledged", PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}: {len(tries)} tries, the last {tries[-2:]}") from None
    return found[0]


def _read(form: FormClient, upload_id: str) -> dict[str, str]:
    return dict(form.http.get(f"/v1/uploads/{upload_id}").json())


def _is_stored(form: FormClient, upload_id: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        status = _read(form, upload_id).get("status")
        assert status not in {"rejected", "failed"}, _read(form, upload_id)
        return status == "stored"
    return False


def _opens(form: FormClient, upload_id: str) -> bool:
    """Whether its link leads to the file: the store may still be coming back."""
    with contextlib.suppress(httpx.HTTPError):
        link = form.http.get(f"/v1/uploads/{upload_id}/content", follow_redirects=True)
        return link.status_code == 200
    return False
