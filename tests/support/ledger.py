"""A test's ledger of acknowledged uploads, and the oracle that the soak uses too."""

import asyncio
import hashlib
from itertools import count
from typing import Any

import httpx

from dev.soak.ledger import Entry
from dev.soak.ledger import Ledger as Acknowledged
from dev.soak.settle import Patience, Verdict, settle
from tests.support.client import FormClient
from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import pdf

_numbers = count(1)


def document() -> bytes:
    """A PDF with bytes of its own, which is stored as it came."""
    return pdf() + b"\n%% %d\n" % next(_numbers)


class Ledger:
    """Sends, enters what was acknowledged, and settles it."""

    def __init__(self, stack: FaultyStack) -> None:
        self.stack = stack
        self.form = FormClient(stack.url, "acceptance")
        self._acknowledged = Acknowledged()

    def close(self) -> None:
        self.form.http.close()

    def send(self, content: bytes | None = None, *, form: FormClient | None = None) -> str:
        """Send once; it has to be acknowledged. The upload's id."""
        content, form = content or document(), form or self.form
        answer = form.send("needed", content, kind="application/pdf")
        assert answer.status_code == 202, answer.text
        return self.enter(answer.json(), content, form)

    def persist(self, content: bytes, key: str, seconds: float = 30) -> str:
        """PUT under a key until it is acknowledged, as a client does that got no answer."""
        found: list[httpx.Response] = []

        def sent() -> bool:
            try:
                answer = self.form.put("needed", key, content)
            except httpx.HTTPError:
                return False
            if answer.status_code == 202:
                found.append(answer)
            return bool(found)

        until(sent, f"{key} was never acknowledged", seconds)
        return self.enter(found[0].json(), content, self.form)

    def enter(self, upload: dict[str, Any], content: bytes, form: FormClient) -> str:
        self._acknowledged.acknowledge(
            Entry(
                upload_id=upload["id"],
                form_id=form.id,
                field=upload["field"],
                sha256=hashlib.sha256(content).hexdigest(),
                unchanged=content.startswith(b"%PDF"),
                hostile=False,
                seconds=0,
            )
        )
        return str(upload["id"])

    def new_form(self) -> FormClient:
        return FormClient(self.stack.url, "acceptance")

    def read(self, upload_id: str) -> dict[str, Any]:
        answer = self.stack.back_end().get(f"/v1/uploads/{upload_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, upload_id: str, status: str, seconds: float = 30) -> dict[str, Any]:
        """The upload once it is in this state."""
        until(lambda: self.read(upload_id)["status"] == status, f"not {status}", seconds)
        return self.read(upload_id)

    def removed(self, upload_id: str) -> None:
        self._acknowledged.entries[upload_id].removed = True

    def settle(self, seconds: float = 40, *, bucket: bool = False) -> Verdict:
        """Everything acknowledged ends as it must. What the bucket still holds of generations that
        came to nothing is cleaned later: only the slow test waits for that."""
        self.stack.whole()
        patience = Patience(final=seconds, cleaned=200 if bucket else 15, bucket=bucket)
        verdict = asyncio.run(
            settle(self._acknowledged, self.stack.info, patience, self.stack.bucket)
        )
        assert not verdict.broken, verdict
        return verdict
