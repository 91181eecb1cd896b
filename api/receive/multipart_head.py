"""What stands in a multipart body before its file: it says whether that is a piece of one."""

from collections.abc import AsyncIterator

from api.receive import dropzone, fragments
from api.receive.multipart import Event, PartData, PartEnd, PartStart
from api.texts.errors import Problem


class Head:
    """Read to the first part with a filename, or to the end of the body without one."""

    def __init__(
        self, fields: dict[str, str], file: PartStart | None, events: AsyncIterator[Event]
    ) -> None:
        self.fields = fields
        """Dropzone's, by name."""
        self.file = file
        self._events = events

    async def rest(self) -> AsyncIterator[Event]:
        """The file's part, and what comes behind it."""
        if self.file:
            yield self.file
        async for event in self._events:
            yield event

    async def file_data(self) -> AsyncIterator[memoryview]:
        """The bytes of the file. What ends without a `Problem` is the only file of its body; raises
        file-missing, too-many-files (422), and fragment-not-supported for what tells of pieces
        behind the file."""
        if self.file is None:
            raise Problem("file-missing")
        is_file, is_first = True, True
        text: PieceField | None = None
        async for event in self._events:
            if isinstance(event, PartStart):
                is_file, is_first = event.filename is not None, False
                text = PieceField.of(event)
            elif isinstance(event, PartData) and is_file:
                if not is_first:
                    raise two_files()
                yield event.data
            elif text:
                text.take(event)

    def refuse_pieces(self) -> None:
        """Raise `Problem` fragment-not-supported where the fields tell of a piece."""
        for name, value in self.fields.items():
            fragments.refuse_by_field(name, value)


class PieceField:
    """A text part that tells of pieces of a file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._value = b""

    @classmethod
    def of(cls, part: PartStart) -> "PieceField | None":
        tells = part.name in dropzone.FIELDS or fragments.says_of_pieces(part.name)
        return cls(part.name) if tells and part.filename is None else None

    def take(self, event: PartData | PartEnd) -> None:
        """Raises `Problem` fragment-not-supported at its end."""
        if isinstance(event, PartData):
            self.add(event)
        else:
            fragments.refuse_by_field(self.name, self.value)

    def add(self, event: PartData) -> None:
        self._value = (self._value + event.data)[: fragments.MAX_VALUE]

    @property
    def value(self) -> str:
        return self._value.decode("latin-1")


async def read_head(events: AsyncIterator[Event]) -> Head:
    """Raises `Problem` fragment-not-supported for what another uploader than Dropzone says of a
    piece, or Dropzone's fields say twice; what they say once is the caller's to judge."""
    fields: dict[str, str] = {}
    text: PieceField | None = None
    async for event in events:
        if isinstance(event, PartStart):
            if event.filename is not None:
                return Head(fields, event, events)
            text = PieceField.of(event)
        elif text and isinstance(event, PartData):
            text.add(event)
        elif text and text.name not in dropzone.FIELDS:
            fragments.refuse_by_field(text.name, text.value)
        elif text and fields.setdefault(text.name, text.value) != text.value:
            raise fragments.fragment()
    return Head(fields, None, events)


def two_files() -> Problem:
    """The problem of a request for one upload that has a second file."""
    return Problem(
        "too-many-files",
        "This request has two files. Send one file a request.",
        params={"max_files": 1},
        status=422,
    )
