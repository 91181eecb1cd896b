"""The tables of `acceptable.md`: a form definition in words, for the people who decide it."""  # noqa: INP001 - a folder of documents, not a package

from collections.abc import Iterable, Iterator
from pathlib import Path

from api.texts.rejections import accepted
from api.texts.sizes import size
from docs.tables import table
from shared.form_definition import (
    AnyField,
    CheckboxField,
    ChoiceField,
    FileField,
    FormType,
    TextField,
    load_form_types,
)
from shared.formats import FORMATS, Format
from shared.policy import Derivative

_KINDS = {
    "text": "text",
    "textarea": "text of several lines",
    "email": "an email address",
    "tel": "a phone number",
    "url": "a web address, http or https",
}
_FOUND = {
    "allow": "accepted",
    "notice": "accepted with a notice",
    "strip": "taken out",
    "reject": "refused",
}
_ANIMATION = {
    "first-frame": "the first picture of an animation is kept",
    "keep": "animations are kept, up to {max_frames} frames",
    "reject": "animations are refused",
}
_PAGES = {
    "first": "of a {names} with several pages the first is kept",
    "all": "all pages of a {kept} are kept, up to {max_pages}",
    "reject": "a {names} with several pages is refused",
}


def acceptable(folder: Path) -> str:
    """The chapters of all form types in `folder`."""
    return "\n\n".join(_form_type(each) for each in load_form_types(folder).values())


def _form_type(form_type: FormType) -> str:
    sections = (
        f"### {section.title}\n\n"
        + table(
            ("Field", "Needed", "What is accepted", "What becomes of it"),
            (
                (each.label, "yes" if each.required else "", _accepts(each), _becomes(each))
                for each in section.fields
            ),
        )
        for section in form_type.sections
    )
    return "\n\n".join([f"## {form_type.title} (`{form_type.type}`)", *sections])


def _accepts(field: AnyField) -> str:
    match field:
        case FileField():
            return "; ".join(file_rules(field))
        case ChoiceField():
            return f"one of {', '.join(field.choices)}"
        case CheckboxField():
            return "a tick"
        case TextField(kind="date"):
            return "a date"
        case TextField(kind="tel"):  # that it looks like one bounds it
            return _KINDS["tel"]
        case _:
            return f"{_KINDS[field.kind]}, up to {field.max_length} characters"


def _becomes(field: AnyField) -> str:
    return "; ".join(outputs(field)) if isinstance(field, FileField) else ""


# --- what is accepted


def file_rules(field: FileField) -> Iterator[str]:
    """What a file has to be, a rule each."""
    if field.max_files > 1:
        yield f"up to {field.max_files} files"
    yield f"{accepted(field)}, up to {size(field.max_bytes)}"
    if field.min_bytes > 1:
        yield f"at least {size(field.min_bytes)}"
    if images := _of_kind(field, "image"):
        yield from _image_rules(field, images)
    if _of_kind(field, "pdf"):
        yield from _pdf_rules(field)
    if _of_kind(field, "document"):
        yield from _document_rules(field)
    if not field.scan:
        yield "not looked into for viruses"
    elif field.unscannable == "accept":
        yield "what can't be looked into for viruses is accepted with a notice"
    if field.flag:
        yield f"kept and flagged instead of refused: {', '.join(f'`{c}`' for c in field.flag)}"


def _image_rules(field: FileField, images: list[Format]) -> Iterator[str]:
    limits = field.image
    for words, *sides in (
        ("at least", limits.min_width, limits.min_height),
        ("at most", limits.max_width, limits.max_height),
        ("with a notice below", limits.recommended_width, limits.recommended_height),
    ):
        if any(sides):
            yield f"{words} {' × '.join(str(side or 'any') for side in sides)} pixels"
    if limits.min_pixels:
        yield f"an image has at least {_millions(limits.min_pixels)} pixels"
    yield f"an image has up to {_millions(limits.max_pixels)} pixels"
    if any(each.may_hold("frames") for each in images):
        yield _ANIMATION[limits.animation].format(max_frames=limits.max_frames)
    if paged := [each for each in images if each.may_hold("pages")]:
        names = _or(each.name for each in paged)
        kept = _or(each.name for each in paged if each.keeps == "pages")
        yield _PAGES[limits.pages].format(names=names, kept=kept, max_pages=limits.max_pages)


def _pdf_rules(field: FileField) -> Iterator[str]:
    limits = field.pdf
    yield f"a PDF has up to {limits.max_pages} pages{_longer(field)}"
    yield f"one that needs a password to open is {_allowed(limits.encrypted)}"
    yield f"one that only restricts printing or editing is {_FOUND[limits.owner_password]}"
    yield from _by_treatment(
        {
            "scripts": limits.active_content,
            "attached files": limits.attachments,
            "forms that few programs show (XFA)": limits.xfa,
        }
    )


def _document_rules(field: FileField) -> Iterator[str]:
    limits = field.document
    yield f"a document that needs a password to open is {_allowed(limits.encrypted)}"
    if field.needs_office:
        yield f"the PDF made of a document has up to {limits.max_pages} pages{_longer(field)}"
    if field.needs_office and limits.without_converter == "store":
        yield "where no converter is installed, a document is stored as it was sent"
    yield from _by_treatment({"macros": limits.macros})


def _longer(field: FileField) -> str:
    """Of PDFs, those that are made of documents too."""
    recommended = field.pdf.recommended_pages
    return f", with a notice above {recommended}" if recommended else ""


def _or(names: Iterable[str]) -> str:
    *others, last = list(names) or [""]
    return " or ".join(filter(None, [", ".join(others), last]))


def _by_treatment(found: dict[str, str]) -> Iterator[str]:
    """`scripts and attached files: accepted with a notice`, for each treatment once."""
    for treatment in dict.fromkeys(found.values()):
        names = [name for name, its in found.items() if its == treatment]
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        yield f"{listed}: {_FOUND[treatment]}"


def _allowed(allowed: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "accepted" if allowed else "refused"


def _millions(pixels: int) -> str:
    return f"{pixels / 1_000_000:g} million"


# --- what becomes of it


def outputs(field: FileField) -> Iterator[str]:
    """What is stored of a file, an output each."""
    if images := _of_kind(field, "image"):
        metadata = "kept" if field.keep_metadata else "taken out"
        yield (
            f"an image is stored upright as {_targets(field, images)}; "
            f"camera and location data are {metadata}"
        )
    if documents := [each for each in _of_kind(field, "document") if _is_converted(field, each)]:
        names = " or ".join(each.name for each in documents)
        yield f"a {names} is stored as {_targets(field, documents)}"
    if _of_kind(field, "pdf"):
        stripped = ", but for what is taken out" if field.pdf.strips else ""
        yield f"a PDF is stored as it was sent{stripped}"
    if kept := [each for each in _of_kind(field, "document") if not _is_converted(field, each)]:
        yield f"a {' or '.join(each.name for each in kept)} is stored as it was sent"
    if field.keep_original:
        yield "where another file is made of it, the one that was sent is kept too"
    if field.derivatives:
        made = ", ".join(_derivative(name, each) for name, each in field.derivatives.items())
        yield f"{'smaller ones' if images else 'pictures of the first page'}: {made}"


def _derivative(name: str, each: Derivative) -> str:
    shape = " square" if each.fit == "cover" else ""
    written = "" if each.format == "jpeg" else f" {FORMATS[f'image/{each.format}'].name}"
    return f"{name} ({each.size} px{shape}{written})"


def _targets(field: FileField, received: Iterable[Format]) -> str:
    made = (field.conversions.get(each.media_type, each.media_type) for each in received)
    return " or ".join(dict.fromkeys(FORMATS[each].name for each in made))


def _is_converted(field: FileField, each: Format) -> bool:
    return field.conversions.get(each.media_type, each.media_type) != each.media_type


def _of_kind(field: FileField, kind: str) -> list[Format]:
    return [FORMATS[each] for each in field.accepted_types if FORMATS[each].kind == kind]
