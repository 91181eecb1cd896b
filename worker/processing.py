"""Check a file and make what its field stores: in a decoder, and around LibreOffice in two.

The first looks into the document, so that LibreOffice sees none that is broken, locked or a bomb;
the second into the PDF that came of it, as into any PDF.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from shared.causes import Cause
from shared.formats import FORMATS, PDF, Format, original_name
from shared.internal_api import Notice
from shared.policy import FilePolicy, PdfLimits
from shared.status import Stage
from worker.errors import FileRejected, TransientError
from worker.office.converter import Office
from worker.sandbox import Decoder, Processed
from worker.settings import Settings

log = structlog.get_logger()

_MADE = ".made.pdf"
"""No output of a decoder's is called like that: names of fields begin with letters."""
_OF_THE_DOCUMENT = {"file-too-many-pages", "file-too-complex"}
"""What the PDF can be rejected for that the document's sender can do something about."""


class Processing:
    """What a worker makes of files. `office` is None where LibreOffice isn't installed."""

    def __init__(self, settings: Settings, decoder: Decoder, office: Office | None) -> None:
        self._decoder = decoder
        self._decoders = asyncio.Semaphore(settings.max_decoders)
        self._decode_seconds = settings.decode_seconds
        self._office = office

    async def process(
        self,
        staged: Path,
        scratch: Path,
        *,
        policy: FilePolicy,
        field: str,
        on_stage: Callable[[Stage], None],
        sha256: str | None = None,
    ) -> Processed:
        """As `worker.sandbox.Decoder.process`; and `TransientError("office")`, not counted, for a
        document that has to wait for LibreOffice."""
        checked = await self._decode(staged, scratch, policy, field, on_stage, sha256)
        document = _to_be_converted(checked, policy)
        if document is None:
            return checked
        if self._office is None:
            return _without_office(checked, policy)
        on_stage(Stage.CONVERTING)
        pdf = await self._make_pdf(self._office, staged, scratch, document)
        try:
            made = await self._decode(pdf, scratch, _of_the_pdf(policy), field, lambda _: None)
        except FileRejected as bad:
            if bad.code not in _OF_THE_DOCUMENT:
                detail = f"LibreOffice made a PDF that is rejected: {bad.code}"
                raise TransientError(Cause.DECODER, counted=True, detail=detail) from bad
            raise FileRejected(bad.code, bad.params, detected_type=document.media_type) from bad
        return _converted(document, checked, made, policy)

    async def of_accepted_type(
        self, staged: Path, scratch: Path, found: FileRejected, *, policy: FilePolicy, field: str
    ) -> None:
        """Raise `found` with the file's type, of which nothing is decoded; or the verdict on a type
        that the field doesn't accept."""
        async with self._decoders:
            await self._decoder.process(
                staged,
                scratch,
                policy=policy,
                field=field,
                deadline_seconds=self._decode_seconds,
                found=found,
            )

    async def _decode(
        self,
        staged: Path,
        scratch: Path,
        policy: FilePolicy,
        field: str,
        on_stage: Callable[[Stage], None],
        sha256: str | None = None,
    ) -> Processed:
        began: set[Stage] = set()

        def begin(stage: Stage) -> None:
            began.add(stage)
            on_stage(stage)

        async def decode(policy: FilePolicy) -> Processed:
            return await self._decoder.process(
                staged,
                scratch,
                policy=policy,
                field=field,
                deadline_seconds=self._decode_seconds,
                on_stage=begin,
                sha256=sha256,
            )

        async with self._decoders:
            try:
                return await decode(policy)
            except TransientError as death:
                if death.cause != Cause.DECODER or not _may_have_died_drawing(policy, began):
                    raise
                made = await decode(policy.model_copy(update={"derivatives": {}}))
                if made.detected_type != PDF.media_type:
                    raise
                log.warning("page_not_drawn", reason=str(death))
                return replace(made, notices=[*made.notices, Notice(code="no-preview")])

    async def _make_pdf(
        self, office: Office, staged: Path, scratch: Path, document: Format
    ) -> Path:
        """The PDF in `scratch`, where nothing else that LibreOffice wrote is left."""
        folder = scratch / "office"
        folder.mkdir()
        try:
            made = await office.convert(staged, document, folder)
            return made.rename(scratch / _MADE)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _may_have_died_drawing(policy: FilePolicy, began: set[Stage]) -> bool:
    """Whether what killed a decoder may be the picture of a PDF's first page, without which the
    document is stored: it was found good before."""
    drawn = PDF.media_type in policy.accepted_types and bool(policy.derivatives)
    return drawn and Stage.CONVERTING in began


def _to_be_converted(checked: Processed, policy: FilePolicy) -> Format | None:
    """The format of a document that is to become a PDF."""
    said = {notice.code for notice in checked.notices}
    if checked.detected_type not in policy.needs_office or "not-converted" in said:
        return None
    return FORMATS[checked.detected_type]


def _without_office(checked: Processed, policy: FilePolicy) -> Processed:
    if policy.document.without_converter == "refuse":
        detail = "LibreOffice isn't installed here"
        raise TransientError(Cause.OFFICE, counted=False, detail=detail)
    said = {notice.code for notice in checked.notices}
    if policy.document.macros == "strip" and "has-macros" in said:
        raise FileRejected("file-has-macros", detected_type=checked.detected_type)
    return replace(checked, notices=[*checked.notices, Notice(code="not-converted")])


def _of_the_pdf(policy: FilePolicy) -> FilePolicy:
    """LibreOffice's own PDFs hold nothing that a field would want to know of."""
    limits = PdfLimits(
        max_pages=policy.document.max_pages,
        recommended_pages=policy.pdf.recommended_pages,
        active_content="allow",
        attachments="allow",
        xfa="allow",
    )
    update = {"accept": (PDF.media_type,), "convert": {}, "keep_original": False, "pdf": limits}
    return policy.model_copy(update=update)


def _converted(
    document: Format, checked: Processed, made: Processed, policy: FilePolicy
) -> Processed:
    original = replace(checked.object, name=original_name(document))
    return replace(
        made,
        detected_type=document.media_type,
        original=original if policy.keep_original else None,
        notices=[
            *map(_after_conversion, checked.notices),
            _says_converted(document),
            *made.notices,
        ],
    )


def _after_conversion(notice: Notice) -> Notice:
    """A PDF has no macros, whether the field asked for that or not."""
    return Notice(code="macros-removed") if notice.code == "has-macros" else notice


def _says_converted(document: Format) -> Notice:
    types = {"from": document.media_type, "to": PDF.media_type}
    names = {"from_name": document.name, "to_name": PDF.name}
    return Notice(code="converted", params=types | names)
