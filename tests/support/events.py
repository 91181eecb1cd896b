"""A client of the events of a form, as one that reads them with `fetch` has them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

SECONDS = 30.0
"""Of silence, heartbeats too, before a test gives up."""


class Event(NamedTuple):
    name: str
    id: int | None
    data: dict[str, Any]

    @property
    def brief(self) -> tuple[str, str]:
        """What a test mostly asks for."""
        return self.name, str(self.data.get("status") or self.data.get("reason"))


class Following:
    """An open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.retry_ms: int | None = None
        self.heartbeats = 0
        self.last_id: int | None = None
        self._lines = answer.iter_lines()

    def next(self) -> Event | None:
        """The next event; None at the end of the answer. Raises where it broke off."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(":")
            if line and not name:
                self.heartbeats += 1
            elif name == "retry":
                self.retry_ms = int(value)
            elif line:
                fields[name] = value.strip()
            elif "data" in fields:
                return self._event(fields)
        return None

    def rest(self) -> list[Event]:
        """All events until the end of the answer."""
        return list(iter(self.next, None))

    def until(self, name: str, status: str) -> list[Event]:
        """The events up to the first of that name with that status, or reason."""
        events: list[Event] = []
        while not events or events[-1].brief != (name, status):
            found = self.next()
            assert found, f"it ended: {events}"
            events.append(found)
        return events

    def _event(self, fields: dict[str, str]) -> Event:
        if "id" in fields:
            self.last_id = int(fields["id"])
        number = int(fields["id"]) if "id" in fields else None
        return Event(fields["event"], number, json.loads(fields["data"]))


@contextmanager
def following(
    http: httpx.Client,
    path: str,
    *,
    last_id: object = None,
    headers: dict[str, str] | None = None,
) -> Iterator[Following]:
    """Open the stream at this path of a form, `/v1/forms/{id}`, or its whole address."""
    sent = dict(headers or {})
    if last_id is not None:
        sent["Last-Event-ID"] = str(last_id)
    with http.stream("GET", f"{path}/events", headers=sent, timeout=SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        yield Following(answer)
