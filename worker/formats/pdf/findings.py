"""What a document does, carries or asks for beyond its pages, and how it is taken out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pikepdf

from shared.policy import PdfLimits, Treatment
from worker.errors import FileRejected
from worker.formats.job import Notice, notice
from worker.formats.pdf.budget import Objects
from worker.formats.pdf.open import Opened
from worker.formats.pdf.reachable import holders
from worker.formats.refusals import Refusals

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
_HOLDS_ONE = (pikepdf.Dictionary, pikepdf.Stream)
"""Viewers take a stream for the dictionary that it has."""
_WANTED = re.compile(
    rb"/(?:JavaScript|JS|Launch|SubmitForm|ImportData|Rendition|RichMediaExecute"
    rb"|AA|RichMediaContent|3DD|Screen|Movie|EF|AF|FileAttachment|Annots"
    rb"|(?:S|Subtype) \d)"  # a name that stands in an object of its own
)
"""In the text of an object that may do, or carry, something."""


@dataclass(frozen=True)
class Found:
    """One thing that was found, and the entries to be removed with it."""

    what: str
    """As a person would look it up: `JavaScript`, `Launch`, `EmbeddedFiles`."""
    holder: pikepdf.Object
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Concern:
    """Findings of one kind, and what is said of them."""

    policy: Treatment
    rejected: str
    noticed: str
    removed: str
    found: list[Found] = field(default_factory=list)

    @property
    def said(self) -> str:
        """What was found. A file is named by what it is attached to, where that is known."""
        names = {found.what for found in self.found}
        return ", ".join(sorted(names - {_EMBEDDED} or names))


def look_into(opened: Opened, limits: PdfLimits, objects: Objects) -> list[Concern]:
    """What there is of each concern that the policy doesn't just allow. Raises `FileRejected` where
    there is too much to be looked at."""
    active = Concern(
        limits.active_content,
        "file-has-active-content",
        "active-content",
        "active-content-removed",
    )
    attached = Concern(
        limits.attachments, "file-has-attachments", "attachments", "attachments-removed"
    )
    xfa = Concern(limits.xfa, "file-has-forms", "xfa", "xfa-removed")
    catalog = opened.document.Root
    active.found.extend(_starting(catalog, objects))
    attached.found.extend(_listed(catalog, objects))
    xfa.found.extend(_xfa(catalog))
    if active.policy != "allow" or attached.policy != "allow":
        for holder in holders(opened, _WANTED):
            objects.spend()
            active.found.extend(_active(holder, objects))
            attached.found.extend(_attached(holder, objects))
    return [each for each in (active, attached, xfa) if each.policy != "allow" and each.found]


def settle(
    concerns: Iterable[Concern], refusals: Refusals, *, can_strip: bool
) -> tuple[list[Notice], bool]:
    """The notices, and whether anything was taken out of the document.

    Where that can't be done, as with a signature that it would break, what was to be taken out is
    refused: a field that wants it gone doesn't want it stored. Raises `FileRejected`, or has
    `refusals` hold it.
    """
    notices, stripped = [], False
    for concern in concerns:
        what = concern.said
        if concern.policy == "reject" or (concern.policy == "strip" and not can_strip):
            refusals.add(FileRejected(concern.rejected, {"found": what}))
            continue
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
    for entry in found.entries:
        if entry == "/Annots":
            kept = [each for each in found.holder["/Annots"] if not _is_attached_file(each)]
            found.holder["/Annots"] = pikepdf.Array(kept)
        elif entry in found.holder:
            del found.holder[entry]


# --- active content


def _starting(catalog: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    """What the document starts as it opens."""
    for what in _kinds_of(catalog.get("/OpenAction"), BY_THEMSELVES, objects):
        yield Found(what, catalog, ("/OpenAction",))
    names = _dictionary(catalog, "/Names")
    if names is not None and _is_filled(names.get("/JavaScript"), objects):
        yield Found("JavaScript", names, ("/JavaScript",))


def _active(holder: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    """What `holder` does, or starts by itself, whatever leads to it."""
    if (kind := _counts(holder, COUNT_ANYWHERE)) is not None:
        # without its kind and what it would run, an action does nothing
        yield Found(kind, holder, ("/S", "/JS", "/F", "/Win", "/Mac", "/Unix"))
    if "/AA" in holder:
        yield from _events(holder, objects)
    yield from _live(holder)


def _live(annotation: pikepdf.Object) -> Iterator[Found]:
    """Films and models, which bring scripts of their own."""
    if (subtype := _name(annotation, "/Subtype")) in _LIVE_ANNOTATIONS:
        for entry in ("/RichMediaContent", "/3DD", "/A", "/Movie"):
            if entry in annotation:
                yield Found(subtype, annotation, (entry,))


def _events(holder: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    events = _dictionary(holder, "/AA")
    if events is None:
        return
    for event in list(events.keys()):
        for what in _kinds_of(events.get(event), BY_THEMSELVES, objects):
            yield Found(what, holder, ("/AA",))


def _counts(action: pikepdf.Object, counted: set[str]) -> str | None:
    """The kind of an action, if it counts."""
    kind = _name(action, "/S")
    if kind in counted:
        return kind
    script = action.get("/JS")
    is_script = isinstance(script, pikepdf.String) or (
        isinstance(script, pikepdf.Stream) and "/Subtype" not in script  # no image of that name
    )
    return "JavaScript" if is_script else None


def _kinds_of(action: object, counted: set[str], objects: Objects) -> list[str]:
    """The actions that count, of one and those that follow it."""
    found = []
    waiting, seen = [action], 0
    while waiting:
        each = waiting.pop()
        objects.spend()
        if isinstance(each, pikepdf.Array):
            if len(each) and isinstance(each[0], _HOLDS_ONE) and "/S" in each[0]:
                waiting.extend(each[index] for index in range(min(len(each), _CHAIN)))
            continue  # a place in the document
        if not isinstance(each, _HOLDS_ONE):
            continue
        if (kind := _counts(each, counted)) is not None:
            found.append(kind)
        seen += 1
        if seen > _CHAIN:
            return [*found, "a long chain of actions"]
        if "/Next" in each:
            waiting.append(each["/Next"])
    return found


# --- attachments and forms

_EMBEDDED = "EF"


def _listed(catalog: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    """Attachments of the document as a whole."""
    names = _dictionary(catalog, "/Names")
    if names is not None and _is_filled(names.get("/EmbeddedFiles"), objects):
        yield Found("EmbeddedFiles", names, ("/EmbeddedFiles",))
    if "/Collection" in catalog:
        yield Found("Collection", catalog, ("/Collection",))


def _attached(holder: pikepdf.Object, objects: Objects) -> Iterator[Found]:
    """Files that `holder` brings, whatever leads to it."""
    associated = holder.get("/AF")
    if isinstance(associated, (pikepdf.Array, *_HOLDS_ONE)) and len(associated):
        yield Found("AF", holder, ("/AF",))
    if any(_is_attached_file(each) for each in _annotations(holder, objects)):
        yield Found("FileAttachment", holder, ("/Annots",))
    files = _dictionary(holder, "/EF")
    if files is not None and any(
        isinstance(files.get(key), pikepdf.Stream) for key in list(files.keys())
    ):
        yield Found(_EMBEDDED, holder, ("/EF",))


def _is_attached_file(annotation: object) -> bool:
    return isinstance(annotation, _HOLDS_ONE) and _name(annotation, "/Subtype") == "FileAttachment"


def _is_filled(tree: object, objects: Objects) -> bool:
    """Whether a tree of names has a name in it: programs leave empty ones behind."""
    waiting, seen = [tree], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _HOLDS_ONE):
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
        yield Found("XFA", form, ("/XFA",))
        if "/NeedsRendering" in catalog:
            yield Found("XFA", catalog, ("/NeedsRendering",))


# --- how to get there


def _name(holder: pikepdf.Object, entry: str) -> str:
    """Without its slash; empty for what is no name."""
    value = holder.get(entry)
    return str(value)[1:] if isinstance(value, pikepdf.Name) else ""


def _dictionary(holder: pikepdf.Object, entry: str) -> pikepdf.Object | None:
    value = holder.get(entry)
    return value if isinstance(value, _HOLDS_ONE) else None


def _annotations(page: pikepdf.Object, objects: Objects) -> Iterator[pikepdf.Object]:
    annotations = page.get("/Annots")
    if not isinstance(annotations, pikepdf.Array):
        return
    for index in range(len(annotations)):
        objects.spend()
        if isinstance(each := annotations[index], _HOLDS_ONE):
            yield each
