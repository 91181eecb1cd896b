"""What the endpoints of forms answer, and to what."""

from api.openapi import bodies, examples
from api.openapi import headers as sent
from api.openapi.events import EVENT
from api.openapi.operation import (
    MULTIPART,
    NOT_MODIFIED,
    OWNER,
    OWNER_OR_PAGES,
    RECEIVING,
    SERVICE_KEY,
    answer,
    leads_to,
    operation,
)
from api.views.rows import FormList, FormView, NewFormView

_FORM = ("ETag", "Cache-Control")

CREATE_FORM = operation(
    answers={
        201: answer(
            "The form, with its token: shown this once",
            NewFormView,
            example=examples.NEW_FORM,
            always=("Location", *_FORM),
            links=leads_to(
                "form_id",
                *("read_form", "save_section", "post_form", "submit_form", "purge_form"),
                *("upload_multipart", "upload_raw"),
            ),
        )
    },
    errors=(
        "malformed-json",
        "request-too-large",
        "unsupported-media-type",
        "invalid-request",
        "unknown-field",
        "unknown-form-type",
        "form-full",
        "too-many-forms",
        "unauthorized",
    ),
    body=bodies.NEW_FORM,
)

LIST_FORMS = operation(
    answers={
        200: answer("One page", FormList, example=examples.FORM_LIST, always=("Cache-Control",))
    },
    errors=("invalid-request",),
    may=(SERVICE_KEY,),
)

READ_FORM = operation(
    answers={
        200: answer(
            "The form as it is now",
            FormView,
            example=examples.FORM,
            always=_FORM,
            sometimes=("Preference-Applied",),
        ),
        304: NOT_MODIFIED,
    },
    errors=("not-found",),
    may=OWNER_OR_PAGES,
    takes=(sent.IF_NONE_MATCH, sent.PREFER),
)

FOLLOW_FORM = operation(
    answers={
        200: answer(
            "Events as they happen. `upload`: an upload that changed, as its own address answers"
            " it. `form`: how the form itself stands, at first and when that changes. `end`: the"
            " last one; `reason` says why. The `id` is the form's version",
            always=("Cache-Control", "X-Accel-Buffering"),
        )
        | {"content": {"text/event-stream": {"schema": EVENT, "example": examples.EVENTS}}},
        204: answer(
            "The client knows all there will be: no need to come back",
            always=("Cache-Control", "X-Accel-Buffering"),
        ),
    },
    errors=("not-found", "not-acceptable"),
    may=OWNER_OR_PAGES,
    takes=(sent.LAST_EVENT_ID,),
)

SAVE_SECTION = operation(
    answers={
        200: answer("Saved", FormView, example=examples.FORM, always=_FORM),
        202: answer(
            "Saved, and a file is being processed",
            FormView,
            example=examples.SAVED_FORM,
            always=(*_FORM, "Retry-After"),
        ),
    },
    errors=(
        "not-found",
        *RECEIVING,
        *MULTIPART,
        *("malformed-json", "request-too-large"),
        *("precondition-failed", "invalid-request", "unknown-field"),
    ),
    may=OWNER,
    takes=(sent.IF_MATCH,),
    body=bodies.SECTION,
)

SUBMIT_FORM = operation(
    answers={
        200: answer(
            "The form, submitted",
            FormView,
            example=examples.SUBMITTED_FORM,
            always=_FORM,
            sometimes=("Preference-Applied",),
        )
    },
    errors=("not-found", "form-submitted", "uploads-pending", "form-incomplete"),
    may=OWNER,
    takes=(sent.PREFER,),
)

PURGE_FORM = operation(
    answers={204: answer("For the outside it is gone; its bytes and objects follow")},
    errors=("not-found", "form-submitted"),
    may=OWNER,
)

POST_FORM = operation(
    answers={
        303: answer("The page to go to, or another site's", always=("Location", "Cache-Control")),
        200: answer("Saved, for who accepts JSON", FormView, example=examples.FORM, always=_FORM),
        202: answer(
            "Saved, and a file is being processed, for who accepts JSON",
            FormView,
            example=examples.SAVED_FORM,
            always=(*_FORM, "Retry-After"),
        ),
    },
    errors=(
        "not-found",
        *RECEIVING,
        *MULTIPART,
        *("foreign-origin", "request-too-large", "invalid-request", "unknown-field"),
        *("uploads-pending", "form-incomplete"),
    ),
    may=OWNER_OR_PAGES,
    body=bodies.HTML_FORM,
)
