"""What can't be right in a file field's definition, though each key by itself is.

A rule that can never apply is named too: whoever wrote it believes that something is checked.
"""

import string
from collections.abc import Iterator
from typing import NamedTuple

from shared.codes import FLAGS, PLACEHOLDERS
from shared.formats import ALL, FORMATS, PDF, Format, Several, canonical
from shared.keys import KeyTemplateError, check_template
from shared.policy import Derivative, FilePolicy, ImageLimits, PdfLimits, can_convert


class Fault(NamedTuple):
    key: tuple[str, ...]
    """From the field downwards: `("image", "min_width")`."""
    reason: str


def faults(policy: FilePolicy) -> Iterator[Fault]:
    """All that is wrong with `policy`, in the order of its keys."""
    unknown = list(_unknown_types(policy))
    yield from unknown
    if not unknown:  # the rest asks what the types are
        yield from _of_accept(policy)
        if policy.min_bytes > policy.max_bytes:
            yield Fault(("min_bytes",), "is more than max_bytes")
        yield from _idle_keys(policy)
        yield from _of_image(policy.image, policy)
        yield from _of_pdf(policy.pdf)
        yield from _of_macros(policy)
        yield from _of_convert(policy)
        for name, derivative in policy.derivatives.items():
            yield from _of_derivative(name, derivative)
        yield from _of_findings(policy)
    yield from _of_key(policy.key)
    for code, text in policy.messages.items():
        yield from _of_message(code, text)


# --- which files


def _unknown_types(policy: FilePolicy) -> Iterator[Fault]:
    known = ", ".join(FORMATS)
    for entry in policy.accept:
        if not entry.startswith(".") and canonical(entry) not in FORMATS:
            yield Fault(("accept",), f"{entry!r} can't be processed; known are {known}")
    for source, made in policy.convert.items():
        for media_type in (source, made):
            if canonical(media_type) not in FORMATS:
                reason = f"{media_type!r} can't be processed; known are {known}"
                yield Fault(("convert", source), reason)


def _of_accept(policy: FilePolicy) -> Iterator[Fault]:
    if not policy.accepted_types:
        yield Fault(("accept",), "names no media type, only extensions")
        return
    listed = {entry.lower() for entry in policy.accept if entry.startswith(".")}
    accepted = _accepted(policy)
    for extension in sorted(listed - {each for format_ in accepted for each in format_.extensions}):
        owner = next((each for each in ALL if extension in each.extensions), None)
        reason = (
            f"{extension!r} is the extension of {owner.name}, and {owner.media_type} isn't named"
            if owner
            else f"{extension!r} is the extension of no format that is known"
        )
        yield Fault(("accept",), reason)
    for format_ in accepted if listed else ():
        if not listed & set(format_.extensions):
            shown = " or ".join(format_.extensions)
            reason = f"has extensions, but none of {format_.name}'s: file choosers hide {shown}"
            yield Fault(("accept",), reason)


def _accepted(policy: FilePolicy) -> list[Format]:
    return [FORMATS[each] for each in policy.accepted_types]


def _target(policy: FilePolicy, received: Format) -> str:
    return policy.conversions.get(received.media_type, received.media_type)


def _stored_as_received(policy: FilePolicy) -> bool:
    """Whether the object is the received bytes, whatever is sent."""
    return not policy.convert and not any(
        each.kind == "image" or (each is PDF and policy.pdf.strips) for each in _accepted(policy)
    )


# --- rules that can't apply


def _idle_keys(policy: FilePolicy) -> Iterator[Fault]:
    kinds = {each.kind for each in _accepted(policy)}
    becomes_pdf = PDF.media_type in {_target(policy, each) for each in _accepted(policy)}
    of_document = policy.document.model_fields_set if "document" in kinds else set[str]()
    written = policy.model_fields_set
    for kind, plural in (("image", "images"), ("pdf", "PDFs"), ("document", "documents")):
        if kind in written and kind not in kinds:
            yield Fault((kind,), f"the field accepts no {plural}")
    if "max_pages" in of_document and not policy.needs_office:
        yield Fault(("document", "max_pages"), "no document is converted: its pages aren't known")
    if "without_converter" in of_document and not policy.needs_office:
        yield Fault(("document", "without_converter"), "no document is converted")
    if policy.derivatives and "image" not in kinds and not becomes_pdf:
        yield Fault(("derivatives",), "they are made of images and PDFs, and the field has neither")
    if policy.keep_metadata and "image" not in kinds:
        yield Fault(("keep_metadata",), "it is about images, and the field accepts none")
    if policy.keep_original and _stored_as_received(policy):
        yield Fault(("keep_original",), "what is stored is the received file anyway")
    if "unscannable" in written and not policy.scan:
        yield Fault(("unscannable",), "nothing is scanned, as scan is false")


def _of_image(limits: ImageLimits, policy: FilePolicy) -> Iterator[Fault]:
    for side in ("width", "height", "pixels"):
        least, most = getattr(limits, f"min_{side}"), getattr(limits, f"max_{side}")
        wanted = getattr(limits, f"recommended_{side}", None)
        if least and most and least > most:
            yield Fault(("image", f"min_{side}"), f"is more than max_{side}")
        if wanted and least and wanted <= least:
            reason = f"isn't more than min_{side}: nothing would be noticed"
            yield Fault(("image", f"recommended_{side}"), reason)
        if wanted and most and wanted > most:
            yield Fault(("image", f"recommended_{side}"), f"is more than max_{side}")
    if (limits.min_width or 1) * (limits.min_height or 1) > limits.max_pixels:
        yield Fault(("image", "max_pixels"), "is less than min_width times min_height")
    most = limits.max_width and limits.max_height and limits.max_width * limits.max_height
    if most and limits.min_pixels and limits.min_pixels > most:
        yield Fault(("image", "min_pixels"), "is more than max_width times max_height")
    images = [each for each in _accepted(policy) if each.kind == "image"]
    if images:
        yield from _of_sides(limits, policy, images)
        yield from _of_several(limits, policy, images)


def _of_sides(limits: ImageLimits, policy: FilePolicy, images: list[Format]) -> Iterator[Fault]:
    """What is stored has as many pixels as what is sent."""
    for side in ("min_width", "min_height"):
        least = getattr(limits, side) or 0
        for each in images:
            target = FORMATS[_target(policy, each)]
            if target.longest_side and least > target.longest_side:
                most = target.longest_side
                yield Fault(("image", side), f"{target.name} holds {most} pixels in a row at most")
                break


def _of_several(limits: ImageLimits, policy: FilePolicy, images: list[Format]) -> Iterator[Fault]:
    """Animations, and images of several pages."""
    yield from _of_kept(policy, images, "frames", ("animation", "max_frames"), limits.animation)
    yield from _of_kept(policy, images, "pages", ("pages", "max_pages"), limits.pages)


def _of_kept(
    policy: FilePolicy, images: list[Format], what: Several, keys: tuple[str, str], treated: str
) -> Iterator[Fault]:
    """`keys` say what becomes of several frames or pages, and how many there may be."""
    treatment, most = keys
    written = policy.image.model_fields_set
    if not any(each.may_hold(what) for each in images):
        for key in keys:
            if key in written:
                yield Fault(("image", key), f"no accepted type has several {what}")
    elif treated in {"keep", "all"}:
        keeping = [each for each in images if each.keeps == what]
        if not keeping:
            able = " and ".join(each.name for each in FORMATS.values() if each.keeps == what)
            yield Fault(("image", treatment), f"only those of {able} can be kept")
        for each in keeping:
            target = FORMATS[_target(policy, each)]
            if target.keeps != what:
                reason = f"{each.name} is converted to {target.name}, which holds one image"
                yield Fault(("image", treatment), reason)
    elif most in written:
        yield Fault(("image", most), f"several {what} aren't kept, so that none are counted")


def _of_pdf(limits: PdfLimits) -> Iterator[Fault]:
    if limits.recommended_pages and limits.recommended_pages >= limits.max_pages:
        reason = "isn't less than max_pages: nothing would be noticed"
        yield Fault(("pdf", "recommended_pages"), reason)


# --- what is made


def _of_macros(policy: FilePolicy) -> Iterator[Fault]:
    """Only a PDF has none: where the document itself is stored they can't be taken out."""
    if policy.document.macros != "strip":
        return
    for each in _accepted(policy):
        if each.kind == "document" and each.media_type not in policy.needs_office:
            reason = f"only a PDF has none, and {each.name} isn't converted to it"
            yield Fault(("document", "macros"), reason)


def _of_convert(policy: FilePolicy) -> Iterator[Fault]:
    accepted = policy.accepted_types
    seen = set[str]()
    for written, made in policy.convert.items():
        source, target, key = canonical(written), canonical(made), ("convert", written)
        if source in seen:
            yield Fault(key, f"{FORMATS[source].name} is converted twice")
        seen.add(source)
        if source not in accepted:
            yield Fault(key, "the field doesn't accept it: there is nothing to convert")
        elif source == target:
            yield Fault(key, "it is stored as that anyway")
        elif not can_convert(source, target):
            yield Fault(key, f"{FORMATS[target].name} can't be made of {FORMATS[source].name}")
    for each in _accepted(policy):
        target = _target(policy, each)
        if each.kind == "image" and target == each.media_type and each.writer is None:
            reason = f"{each.name} can't be written: convert {each.media_type} to another type"
            yield Fault(("convert",), reason)


def _of_derivative(name: str, derivative: Derivative) -> Iterator[Fault]:
    if name == "original":
        yield Fault(("derivatives", name), "would be taken for the received file")
    if derivative.format == "png" and "quality" in derivative.model_fields_set:
        yield Fault(("derivatives", name, "quality"), "PNG loses nothing: it has no quality")


def _of_key(template: str) -> Iterator[Fault]:
    try:
        check_template(template)
    except KeyTemplateError as error:
        yield Fault(("key",), str(error))


# --- what is said


def _of_findings(policy: FilePolicy) -> Iterator[Fault]:
    possible = _possible_findings(policy)
    for code in dict.fromkeys(each for each in policy.flag if policy.flag.count(each) > 1):
        yield Fault(("flag",), f"{code!r} is there twice")
    for code in dict.fromkeys(policy.flag):
        if code not in FLAGS:
            known = ", ".join(sorted(FLAGS))
            yield Fault(("flag",), f"{code!r} can't be flagged; what can is {known}")
        elif code not in possible:
            reason = f"{code!r} is found in no file of this field, as its other rules are"
            yield Fault(("flag",), reason)
    for code in sorted(FLAGS.intersection(policy.messages) - possible):
        reason = "is found in no file of this field, as its other rules are"
        yield Fault(("messages", code), reason)


def _possible_findings(policy: FilePolicy) -> set[str]:
    """Those of `FLAGS` that a file of the field can be rejected for."""
    image, pdf, document = policy.image, policy.pdf, policy.document
    formats = _accepted(policy)
    images = [each for each in formats if each.kind == "image"]
    pdfs = PDF in formats
    documents = any(each.kind == "document" for each in formats)
    may_be_stored = document.without_converter == "store"
    restricted_is_refused = pdf.owner_password == "reject"  # noqa: S105 - a rule
    found = {
        "file-corrupt": True,
        "file-too-complex": True,
        "file-too-small": policy.min_bytes > 1,
        "file-encrypted": (pdfs and (not pdf.encrypted or restricted_is_refused))
        or (documents and not document.encrypted),
        "file-has-active-content": pdfs and pdf.active_content == "reject",
        "file-has-attachments": pdfs and pdf.attachments == "reject",
        "file-has-forms": pdfs and pdf.xfa == "reject",
        "file-has-macros": documents
        and (document.macros == "reject" or (document.macros == "strip" and may_be_stored)),
        "file-infected": policy.scan,
        "file-unscannable": policy.scan and policy.unscannable == "reject",
        "file-too-many-pages": pdfs
        or bool(policy.needs_office)
        or (image.pages != "first" and any(each.may_hold("pages") for each in images)),
        "image-animated": image.animation == "reject"
        and any(each.may_hold("frames") for each in images),
        "image-too-large": bool(images),
        "image-too-small": bool(
            images and (image.min_width or image.min_height or image.min_pixels)
        ),
    }
    return {code for code, possible in found.items() if possible}


def _of_message(code: str, text: str) -> Iterator[Fault]:
    if code not in PLACEHOLDERS:
        known = ", ".join(sorted(PLACEHOLDERS))
        yield Fault(("messages", code), f"is no code of a file's; known are {known}")
        return
    if not text.strip():
        yield Fault(("messages", code), "must not be empty")
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        yield Fault(("messages", code), f"is not a text: {error}; a brace is written twice")
        return
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if spec or conversion or not name.isidentifier():
            reason = "a placeholder is a name in braces and nothing more"
            yield Fault(("messages", code), reason)
        elif name not in PLACEHOLDERS[code]:
            known = ", ".join(sorted(PLACEHOLDERS[code]))
            yield Fault(("messages", code), f"has the placeholder {{{name}}}; known are {known}")
