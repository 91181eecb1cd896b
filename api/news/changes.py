"""What happens after a commit: one log line a change, and a nudge for who watches."""

from collections.abc import Iterable

import structlog

from api.news.lookout import Lookout
from api.records.database import Change

log = structlog.get_logger()


class Changes:
    """Told of every change that this process committed."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def committed(self, changes: Iterable[Change]) -> None:
        """Log each transition, and wake who watches one of these forms."""
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
            self._lookout.changed(form_id)
