"""What a document does, carries or asks for beyond its pages, and how it is taken out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pikepdf

from shared.policy import PdfLimits, Treatment
from worker.errors import FileRejected
from worker.formats.job import Notice, notice
from worker.formats.pdf.budget import Objects
from worker.formats.pdf.pages import Pages

COUNT_ANYWHERE = {
    "JavaScript",
    "Launch",
    "SubmitForm",
    "ImportData",
    "Rendition",
    "RichMediaExecute",
}
"""Actions that count wherever they are. A link to a page on the web, or in another document, is
what people expect of a link."""
BY_THEMSELVES = COUNT_ANYWHERE | {"URI", "GoToR", "GoToE", "Movie", "Sound"}
"""Actions that count where the document, not the person, starts them."""
_LIVE_ANNOTATIONS = {"RichMedia", "3D", "Screen", "Movie"}
_CHAIN = 50
"""Actions that follow one another: more are looked at no further, and count."""


@dataclass(frozen=True)
class Found:
    """One thing that was found, and the entry to be removed with it."""

    what: str
    """As a person would look it up: `JavaScript`, `Launch`, `EmbeddedFiles`."""
    holder: pikepdf.Object
    entry: str


@dataclass(frozen=True)
class Concern:
    """Findings of one kind, and what is said of them."""

    policy: Treatment
    found: list[Found]
    rejected: str
    noticed: str
    removed: str


def look_into(
    document: pikepdf.Pdf, pages: Pages, limits: PdfLimits, objects: Objects
) -> list[Concern]:
    """What there is of each concern that the policy doesn't just allow. Raises `FileRejected` where
    there is too much to be looked at."""
    concerns = []
    catalog = document.Root
    if limits.active_content != "allow":
        active = list(_active(catalog, pages, objects))
        concerns.append(
            Concern(
                limits.active_content,
                active,
                "file-has-active-content",
                "active-content",
                "active-content-removed",
            )
        )
    if limits.attachments != "allow":
        attached = list(_attached(catalog, pages, objects))
        concerns.append(
            Concern(
                limits.attachments,
                attached,
                "file-has-attachments",
                "attachments",
                "attachments-removed",
            )
        )
    if limits.xfa != "allow":
        concerns.append(
            Concern(limits.xfa, list(_xfa(catalog)), "file-has-forms", "xfa", "xfa-removed")
        )
    return [concern for concern in concerns if concern.found]


def settle(concerns: Iterable[Concern], *, can_strip: bool) -> tuple[list[Notice], bool]:
    """The notices, and whether anything was taken out of the document.

    Where that can't be done, as with a signature that it would break, what was to be taken out is
    refused: a field that wants it gone doesn't want it stored. Raises `FileRejected`.
    """
    notices, stripped = [], False
    for concern in concerns:
        what = ", ".join(sorted({found.what for found in concern.found}))
        if concern.policy == "reject" or (concern.policy == "strip" and not can_strip):
            raise FileRejected(concern.rejected, {"found": what})
        if concern.policy == "notice":
            notices.append(notice(concern.noticed, found=what))
            continue
        for found in concern.found:
            _remove(found)
        stripped = True
        notices.append(notice(concern.removed, found=what))
    return notices, stripped


def is_signed(document: pikepdf.Pdf) -> bool:
    """Whether a change would break a signature, as the form says of itself (ISO 32000-1, 12.7.2) or
    the permissions of the document do."""
    form = _dictionary(document.Root, "/AcroForm")
    flags = form.get("/SigFlags", 0) if form is not None else 0
    signed = isinstance(flags, int) and bool(flags & 1)
    return signed or "/Perms" in document.Root


def _remove(found: Found) -> None:
    if found.entry == "/Annots":
        kept = [each for each in found.holder["/Annots"] if not _is_attached_file(each)]
        found.holder["/Annots"] = pikepdf.Array(kept)
    elif found.entry in found.holder:
        del found.holder[found.entry]


# --- active content


def _active(catalog: pikepdf.Object, pages: Pages, objects: Objects) -> Iterator[Found]:
    yield from _events(catalog, objects)
    for what in _kinds_of(catalog.get("/OpenAction"), BY_THEMSELVES, objects):
        yield Found(what, catalog, "/OpenAction")
    names = _dictionary(catalog, "/Names")
    if names is not None and "/JavaScript" in names:
        yield Found("JavaScript", names, "/JavaScript")
    for page in pages.found:
        yield from _events(page, objects)
        for annotation in _annotations(page, objects):
            yield from _started_by(annotation, objects)
            yield from _live(annotation)
    for each in _fields(catalog, objects):
        yield from _started_by(each, objects)


def _started_by(holder: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    """By an annotation or a field, which often are one."""
    if "/AA" in holder:
        yield from _events(holder, objects)
    if "/A" in holder:
        for what in _kinds_of(holder["/A"], COUNT_ANYWHERE, objects):
            yield Found(what, holder, "/A")


def _live(annotation: pikepdf.Object) -> Iterator[Found]:
    """Films and models, which bring scripts of their own."""
    if (subtype := _name(annotation, "/Subtype")) in _LIVE_ANNOTATIONS:
        for entry in ("/RichMediaContent", "/3DD", "/A", "/Movie"):
            if entry in annotation:
                yield Found(subtype, annotation, entry)


def _events(holder: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    events = _dictionary(holder, "/AA")
    if events is None:
        return
    for event in list(events.keys()):
        for what in _kinds_of(events.get(event), BY_THEMSELVES, objects):
            yield Found(what, holder, "/AA")


def _kinds_of(action: object, counted: set[str], objects: Objects) -> list[str]:
    """The actions that count, of one and those that follow it."""
    found = []
    waiting, seen = [action], 0
    while waiting:
        each = waiting.pop()
        objects.spend()
        if isinstance(each, pikepdf.Array):
            if len(each) and isinstance(each[0], pikepdf.Dictionary) and "/S" in each[0]:
                waiting.extend(each[index] for index in range(min(len(each), _CHAIN)))
            continue  # a place in the document
        if not isinstance(each, pikepdf.Dictionary):
            continue
        action = _name(each, "/S")
        if action in counted:
            found.append(action)
        elif "/JS" in each:
            found.append("JavaScript")
        seen += 1
        if seen > _CHAIN:
            return [*found, "a long chain of actions"]
        if "/Next" in each:
            waiting.append(each["/Next"])
    return found


# --- attachments and forms


def _attached(catalog: pikepdf.Object, pages: Pages, objects: Objects) -> Iterator[Found]:
    names = _dictionary(catalog, "/Names")
    if names is not None and _is_filled(names.get("/EmbeddedFiles"), objects):
        yield Found("EmbeddedFiles", names, "/EmbeddedFiles")
    if "/Collection" in catalog:
        yield Found("Collection", catalog, "/Collection")
    for holder in (catalog, *pages.found):
        associated = holder.get("/AF")
        if isinstance(associated, pikepdf.Array | pikepdf.Dictionary) and len(associated):
            yield Found("AF", holder, "/AF")
    for page in pages.found:
        if any(_is_attached_file(each) for each in _annotations(page, objects)):
            yield Found("FileAttachment", page, "/Annots")


def _is_attached_file(annotation: object) -> bool:
    return (
        isinstance(annotation, pikepdf.Dictionary)
        and _name(annotation, "/Subtype") == "FileAttachment"
    )


def _is_filled(tree: object, objects: Objects) -> bool:
    """Whether a tree of names has a name in it: programs leave empty ones behind."""
    waiting, seen = [tree], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, pikepdf.Dictionary):
            continue
        names, kids = node.get("/Names"), node.get("/Kids")
        if isinstance(names, pikepdf.Array) and len(names):
            return True
        if isinstance(kids, pikepdf.Array) and node.objgen not in seen:
            if node.is_indirect:
                seen.add(node.objgen)
            objects.spend(len(kids))
            waiting.extend(kids[index] for index in range(len(kids)))
    return False


def _xfa(catalog: pikepdf.Object) -> Iterator[Found]:
    form = _dictionary(catalog, "/AcroForm")
    if form is not None and "/XFA" in form:
        yield Found("XFA", form, "/XFA")
        if "/NeedsRendering" in catalog:
            yield Found("XFA", catalog, "/NeedsRendering")


# --- how to get there


def _name(holder: pikepdf.Object, entry: str) -> str:
    """Without its slash; empty for what is no name."""
    value = holder.get(entry)
    return str(value)[1:] if isinstance(value, pikepdf.Name) else ""


def _dictionary(holder: pikepdf.Object, entry: str) -> pikepdf.Object | None:
    value = holder.get(entry)
    return value if isinstance(value, pikepdf.Dictionary) else None


def _annotations(page: pikepdf.Object, objects: Objects) -> Iterator[pikepdf.Object]:
    annotations = page.get("/Annots")
    if not isinstance(annotations, pikepdf.Array):
        return
    for index in range(len(annotations)):
        objects.spend()
        if isinstance(each := annotations[index], pikepdf.Dictionary):
            yield each


def _fields(catalog: pikepdf.Object, objects: Objects) -> Iterator[pikepdf.Object]:
    """The fields of the form; those that stand on a page are seen there too."""
    form = _dictionary(catalog, "/AcroForm")
    waiting = [form.get("/Fields")] if form is not None else []
    seen: set[tuple[int, int]] = set()
    while waiting:
        children = waiting.pop()
        if not isinstance(children, pikepdf.Array):
            continue
        for index in range(len(children)):
            objects.spend()
            each = children[index]
            if not isinstance(each, pikepdf.Dictionary) or each.objgen in seen:
                continue
            if each.is_indirect:
                seen.add(each.objgen)
            yield each
            waiting.append(each.get("/Kids"))
