"""What happens after a commit: one log line a change, and a nudge for who waits."""

from collections.abc import Iterable

import structlog

from api.records.database import Change
from api.waiters import Waiters

log = structlog.get_logger()


class Changes:
    """Told of every change that this process committed."""

    def __init__(self, waiters: Waiters) -> None:
        self._waiters = waiters

    def committed(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.upload_id and change.before != change.after:
                log.info(
                    "upload_transition",
                    upload_id=change.upload_id,
                    form_id=change.form_id,
                    field=change.field,
                    generation=change.generation,
                    request_id=change.request_id,
                    **{"from": change.before, "to": change.after},
                )
            elif change.upload_id is None and change.before != change.after:
                log.info(
                    "form_transition",
                    form_id=change.form_id,
                    **{"from": change.before, "to": change.after},
                )
        for form_id in {change.form_id for change in changes}:
            self._waiters.changed(form_id)
