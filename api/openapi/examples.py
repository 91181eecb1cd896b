"""Examples of what is answered and asked. A test holds each against its model."""

import json
from typing import Any

UPLOAD_ID = "upl_7w3rpmaaqtbyhxg6vts2u5nqjm"
FORM_ID = "frm_rvmcnqxlrh4d2aqw7bxo5ktsny"
_SHA256 = "278a7df13e0b8c2c95f8a9a1b6f7c5d4e3f2a1b0c9d8e7f60514233241506978"
_STORED_SHA256 = "90de1df3af7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a291807f6e5d4c3b2a1908f7e"
_STORE = "https://objects.example.com/longshore"
_PUBLIC_URL = f"{_STORE}/therapist_signup/{FORM_ID}/headshot/{UPLOAD_ID}.1/headshot.jpg"


def prefilled(value: str) -> dict[str, Any]:
    """The one example of a parameter, where the API docs fill it in: for what works for anybody."""
    return {value: {"value": value}}


STAGED: dict[str, Any] = {
    "id": UPLOAD_ID,
    "url": f"https://forms.example.com/v1/uploads/{UPLOAD_ID}",
    "form_id": FORM_ID,
    "field": "headshot",
    "status": "staged",
    "stage": None,
    "filename": "photo.png",
    "size": 335881,
    "declared_type": "image/png",
    "detected_type": None,
    "sha256": _SHA256,
    "progress": {"received": 335881, "total": 335881},
    "public_url": None,
    "object": None,
    "derivatives": {},
    "notices": [],
    "flags": [],
    "released_at": None,
    "error": None,
    "scan": None,
    "attempts": 0,
    "created_at": "2026-11-22T13:12:17.871Z",
    "updated_at": "2026-11-22T13:12:17.871Z",
    "expires_at": None,
    "poll_after_ms": 1000,
}

RECEIVING: dict[str, Any] = STAGED | {
    "status": "receiving",
    "sha256": None,
    "progress": {"received": 131072, "total": 335881},
    "expires_at": "2026-11-23T13:12:17.871Z",
}

STORED: dict[str, Any] = STAGED | {
    "status": "stored",
    "detected_type": "image/png",
    "public_url": _PUBLIC_URL,
    "object": {
        "content_type": "image/jpeg",
        "size": 53030,
        "sha256": _STORED_SHA256,
        "width": 800,
        "height": 600,
    },
    "derivatives": {
        "thumb": {
            "content_type": "image/jpeg",
            "size": 4000,
            "sha256": _STORED_SHA256[::-1],
            "width": 200,
            "height": 150,
        }
    },
    "attempts": 1,
    "updated_at": "2026-11-22T13:12:18.402Z",
    "poll_after_ms": None,
}

RELEASED: dict[str, Any] = STORED | {
    "detected_type": "image/jpeg",
    "public_url": _PUBLIC_URL.replace("/therapist", "/flagged/therapist").replace(
        "headshot.jpg", "original.jpg"
    ),
    "object": {"content_type": "image/jpeg", "size": 335881, "sha256": _SHA256},
    "derivatives": {},
    "flags": [
        {
            "code": "image-too-small",
            "detail": "The selected image must be at least 400 × 400 pixels",
            "params": {"width": 300, "height": 600, "min_width": 400, "min_height": 400},
        }
    ],
    "released_at": "2026-11-22T15:40:03.118Z",
    "updated_at": "2026-11-22T15:40:03.118Z",
}

FORM: dict[str, Any] = {
    "id": FORM_ID,
    "type": "therapist_signup",
    "reference": "crm-4711",
    "metadata": None,
    "status": "draft",
    "complete": False,
    "version": 4,
    "edit": 2,
    "data": {"full_name": "Ada Diaz", "email": "ada@example.com", "headshot": _PUBLIC_URL},
    "uploads": {
        "headshot": [STORED],
        "licence": [],
        "certificates": [],
        "liability_insurance": [],
        "resume": [],
    },
    "ignored": [],
    "problems": [],
    "created_at": "2026-11-22T13:12:17.524Z",
    "updated_at": "2026-11-22T13:12:18.402Z",
    "submitted_at": None,
    "expires_at": None,
}

NEW_FORM: dict[str, Any] = FORM | {
    "version": 1,
    "edit": 1,
    "data": {"full_name": "Ada Diaz", "email": "ada@example.com"},
    "uploads": {name: [] for name in FORM["uploads"]},
    "updated_at": FORM["created_at"],
    "token": "lst_Z3jjUl-hnbVY7m2mQyWcJxW6u1kq0yVdGm4rXhZb8tE",
}

SAVED_FORM: dict[str, Any] = FORM | {
    "uploads": FORM["uploads"] | {"headshot": [STAGED]},
    "data": NEW_FORM["data"],
    "ignored": [{"field": "licence", "reason": "empty"}],
    "problems": [
        {
            "field": "website",
            "code": "invalid-url",
            "detail": "Website must be a web address, like https://example.com",
        }
    ],
}

EVENTS = f"""\
retry: 2417

event: upload
id: 4
data: {json.dumps(STORED)}

event: form
id: 4
data: {{"version":4,"status":"draft","complete":false,"edit":2}}

"""

SUBMITTED_FORM: dict[str, Any] = FORM | {
    "status": "submitted",
    "complete": True,
    "submitted_at": "2026-11-22T13:14:02.007Z",
}

FORM_LIST: dict[str, Any] = {"forms": [SUBMITTED_FORM], "next": "MTc2MzgxNzI0MjAwNy5mcm1fcnZtYw"}

FORM_TYPES: dict[str, Any] = {
    "form_types": [
        {
            "type": "therapist_signup",
            "title": "Join as a therapist",
            "url": "https://forms.example.com/v1/form-types/therapist_signup",
        }
    ]
}

FORM_TYPE: dict[str, Any] = {
    "type": "therapist_signup",
    "title": "Join as a therapist",
    "sections": [
        {
            "name": "about",
            "title": "About you",
            "fields": [
                {"name": "full_name", "label": "Full name", "kind": "text", "required": True},
                {
                    "name": "headshot",
                    "label": "Photo of you",
                    "hint": "JPG, at least 400 × 400 pixels, up to 15 MB",
                    "kind": "file",
                    "accept": ["image/jpeg", ".jpg", ".jpeg"],
                    "max_bytes": 15_000_000,
                    "image": {"min_width": 400, "min_height": 400},
                    "derivatives": {"thumb": {"size": 200}},
                    "formats": [
                        {
                            "type": "image/jpeg",
                            "name": "JPG",
                            "extensions": [".jpg", ".jpeg"],
                            "signatures": [[{"offset": 0, "bytes": "ffd8ff"}]],
                            "starts_within": 0,
                        }
                    ],
                    "texts": {
                        "file-too-large": "The selected file must be smaller than 15 MB",
                        "image-too-large": "The selected image has too many pixels "
                        "({width} × {height}): make it smaller",
                    },
                },
            ],
        }
    ],
}

LINK: dict[str, Any] = {
    "url": f"{_PUBLIC_URL}?X-Amz-Signature=5f0c",
    "expires_at": "2026-11-22T13:17:18Z",
}

ORDER: dict[str, Any] = {
    "upload_id": UPLOAD_ID,
    "form_id": FORM_ID,
    "field": "headshot",
    "generation": 1,
    "staged_path": f"staged/{UPLOAD_ID}",
    "from_key": None,
    "volume_id": "vol_3hq7ktwkd5m2u6vyp4xzfbnsce",
    "size": 335881,
    "sha256": _SHA256,
    "policy": {"accept": ["image/png", "image/jpeg"], "max_bytes": 15_000_000},
    "key_prefix": f"therapist_signup/{FORM_ID}/headshot/{UPLOAD_ID}.1/",
    "flagged_prefix": None,
    "filename": "photo.png",
    "attempt": 1,
    "lease_seconds": 20.0,
    "heartbeat_seconds": 5.0,
    "work_seconds": 900.0,
    "request_id": "req_3hq7ktwkd5m2u6vyp4xzfbnsce",
}

OUTCOME_STORED: dict[str, Any] = {
    "upload_id": UPLOAD_ID,
    "generation": 1,
    "outcome": "stored",
    "detected_type": "image/png",
    "object": STORED["object"] | {"key": f"{ORDER['key_prefix']}headshot.jpg"},
}

APPLIED: dict[str, Any] = {"upload_id": UPLOAD_ID, "status": "stored", "generation": 1}

OFFICE_NEEDS: dict[str, Any] = {"fields": ["therapist_signup.resume"]}
CLEANINGS: dict[str, Any] = {
    "cleanings": [{"id": 7, "prefix": ORDER["key_prefix"], "passes": 0}],
}
