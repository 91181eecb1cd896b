"""What a person reads of a file: why it was rejected or we gave up on it, and what we noticed."""

from collections.abc import Mapping
from typing import Any

from api.texts.errors import ERRORS
from api.texts.sizes import size
from shared.codes import REJECTIONS
from shared.formats import FORMATS, NAMES, PDF
from shared.policy import FilePolicy

NOTICE_TEXTS = {
    "active-content": "The document has scripts or actions in it",
    "active-content-removed": "We took scripts and actions out of the document",
    "animation-dropped": "We kept only the first picture of the animation",
    "attachments": "The document has other files attached to it",
    "attachments-removed": "We took out the files that were attached to the document",
    "converted": "We converted it from {from_name} to {to_name}",
    "has-macros": "The document has macros in it",
    "low-resolution": "The image is only {width} × {height} pixels: choose a larger one if you can",
    "macros-removed": "We took the macros out of the document",
    "many-pages": "The document is longer than we recommend: it has {pages} pages",
    "metadata-removed": "We took out what the camera added, such as the place",
    "no-preview": "We couldn't make a picture of the first page",
    "not-converted": "We kept it as you sent it, without converting it",
    "not-scanned": "We can't look into this file for viruses",
    "owner-password": "The document restricts printing or editing",
    "pages-dropped": "We kept only the first page",
    "pages-not-checked": "The document is password protected: we can't look at its pages",
    "repaired": "The file was slightly damaged: check that it looks right",
    "xfa": "The document is a form that only some programs can show",
    "xfa-removed": "We took a form that only some programs can show out of the document",
}
"""By code of a notice, with its params."""

NOTICE_IS_ODD = "We noticed something about this file"
FILE_IS_ODD = "The selected file can't be accepted: choose another one"
"""For codes of a worker that is newer than this api."""


def upload_notice(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """One of the `notices` of an upload: `{"code", "detail", "params"}`, worded as an error is."""
    template = policy.messages.get(code) or _of_notice(code, policy) or NOTICE_IS_ODD
    known = {**_of_policy(policy), **params}
    return {"code": code, "detail": template.format_map(_Blank(known)), "params": params}


def upload_error(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """The `error` of an upload: `{"code", "detail", "params", "retryable"}`.

    The text is the form definition's where it has one for the code, else the built-in one.
    """
    spec = ERRORS.get(code)
    known = {**_of_policy(policy), **params}
    template = policy.messages.get(code) or (_built_in(code, known) if spec else FILE_IS_ODD)
    return {
        "code": code,
        "detail": template.format_map(_Blank(known)),
        "params": params,
        "retryable": bool(spec and spec.retryable),
    }


def texts(policy: FilePolicy) -> dict[str, str]:
    """What is said of a file of the field, by code, for a browser that looks at it first. What only
    the file can tell, such as `{width}`, is left in braces."""
    known = _of_policy(policy)
    built_in = {code: _built_in(code, known) for code in (*sorted(REJECTIONS), "file-empty")}
    notices = {code: _of_notice(code, policy) for code in NOTICE_TEXTS}
    return {
        code: (policy.messages.get(code) or text).format_map(_Left(known))
        for code, text in {**built_in, **notices}.items()
    }


def _of_notice(code: str, policy: FilePolicy) -> str:
    """The built-in text; empty for a code that isn't known here. Where the received file is kept,
    it has what was taken out of the other one."""
    text = NOTICE_TEXTS.get(code, "")
    kept = policy.keep_original and code.endswith("-removed")
    return f"{text}. We keep the file as you sent it too" if text and kept else text


def _built_in(code: str, known: Mapping[str, Any]) -> str:
    """The text of an error where the definition has none of its own. One is no plural."""
    if code == "too-many-files" and known["max_files"] == 1:
        return "You can only select one file"
    if code == "file-too-many-pages" and known.get("max_pages") == 1:
        return "The selected file must have one page only"
    if code == "file-encrypted" and "restricts" in known:
        return "The selected file restricts {restricts}: save it without restrictions"
    if code == "file-too-complex" and "frames" in known:
        return "The selected image has {frames} frames: choose one with {max_frames} or fewer"
    if code == "image-too-small":
        return _too_small(known)
    return ERRORS[code].detail


def _too_small(known: Mapping[str, Any]) -> str:
    """What an image misses; before there is one, all that could be missed."""
    width, height = known.get("width", 0), known.get("height", 0)
    wanted = []
    if width < known["min_width"] or height < known["min_height"]:
        wanted.append(_least_sides(known))
    if width * height < known["min_pixels"] and known["min_pixels"] > 1:
        wanted.append("have at least {min_pixels} pixels ({width} × {height} are too few)")
    missed = [each for each in wanted if each]
    if not missed:
        return "The selected image has too few pixels ({width} × {height}): choose a larger one"
    return f"The selected image must {' and '.join(missed)}"


def _least_sides(known: Mapping[str, Any]) -> str:
    """Nothing where neither side has to be longer than a pixel."""
    match known["min_width"] > 1, known["min_height"] > 1:
        case True, True:
            return "be at least {min_width} × {min_height} pixels"
        case True, False:
            return "be at least {min_width} pixels wide"
        case False, True:
            return "be at least {min_height} pixels high"
        case _:
            return ""


def upload_flag(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """One of the `flags` of an upload, `{"code", "detail", "params"}`: in the words in which it
    would be rejected."""
    error = upload_error(code, params, policy)
    return {key: error[key] for key in ("code", "detail", "params")}


def accepted(policy: FilePolicy) -> str:
    """What the field accepts, as people call it: `JPG, PNG or WebP`."""
    names = [NAMES.get(each, each) for each in policy.accepted_types]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _with_article(names: str) -> str:
    """Names of formats behind `a` or `an`, as the first is spoken: `a JPG, PNG or WebP`."""
    return f"{'an' if names[0] in 'AEIOUaeiou' or names.startswith('RTF') else 'a'} {names}"


def _of_policy(policy: FilePolicy) -> dict[str, str | int]:
    """What `shared.codes.POLICY_PLACEHOLDERS` stand for."""
    return {
        "accepted": accepted(policy),
        "an_accepted": _with_article(accepted(policy)),
        "max_size": size(policy.max_bytes),
        "min_size": size(policy.min_bytes),
        "max_bytes": policy.max_bytes,
        "min_bytes": policy.min_bytes,
        "max_files": policy.max_files,
        "min_width": policy.image.min_width or 1,
        "min_height": policy.image.min_height or 1,
        "min_pixels": policy.image.min_pixels or 1,
        **_most_pages(policy),
    }


def _most_pages(policy: FilePolicy) -> dict[str, int]:
    """Nothing where it depends on the kind of the file: its own `params` say it then."""
    formats = [FORMATS[each] for each in policy.accepted_types if each in FORMATS]
    limits = set[int]()
    if PDF in formats:
        limits.add(policy.pdf.max_pages)
    if policy.needs_office:
        limits.add(policy.document.max_pages)
    if policy.image.pages != "first" and any(each.may_hold("pages") for each in formats):
        limits.add(policy.image.max_pages if policy.image.pages == "all" else 1)
    limits = limits or {policy.pdf.max_pages}
    return {"max_pages": limits.pop()} if len(limits) == 1 else {}


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


class _Left(dict[str, Any]):
    """Leaves a placeholder without a value as it stands."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"
