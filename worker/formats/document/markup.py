"""The XML of a document: counted, and looked through for what acts by itself.

What an entry is called says nothing of what word processors take it for: whatever begins as XML is
read as such. XML that is broken is read as far as it goes; whether the document is whole, its
checksums and its reader say.
"""

import re
from xml.parsers import expat

from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.verdicts import within

MAX_ELEMENTS = 3_000_000
"""In all entries together. Two thousand pages have a fifth of it."""
MAX_ATTRIBUTES = 1_000
"""Of one element. LibreOffice compares each with all before it."""
MAX_NESTING = 1_000
"""Of elements. Word stops at tables 64 deep, which are some 250 elements."""
TEXT_BYTES = 64 << 20
"""Of the entries with text and layout, which the converter holds in memory, many times as large:
two thousand pages have some twenty megabytes."""
DRAWING_BYTES = 4 << 20
"""Of a drawing that gives short names to what is longer."""
_NAMESPACE = re.compile(r"https?://[\w./-]{1,80}")
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<")
_TABLES, _CELLS, _PARAGRAPHS = {"tbl", "table"}, {"tc", "table-cell"}, {"p", "h"}
"""Names in DOCX and ODT, without their namespaces."""
_MACRO_PARTS = ("vbaproject", "vbadata")
_INSTRUCTION_CHARS = 10_000
_STARTS_A_PROGRAM = re.compile(r"\s*DDE(?:AUTO)?\b", re.IGNORECASE)
_HOST = re.compile(r"(?i)(?P<scheme>[a-z]{2,}):/*(?P<rest>.*)|[\\\\/]{2}(?P<unc>.*)", re.DOTALL)


class Markup:
    """Takes the entries of one document, one after the other."""

    def __init__(self) -> None:
        self.macros = False
        """Something in it runs, or is fetched to be run, as the document opens."""
        self.paragraphs = self.cells = self.table_depth = 0
        self._elements = self._bytes = 0

    def findings(self) -> Findings:
        return Findings(
            macros=self.macros,
            paragraphs=self.paragraphs,
            cells=self.cells,
            table_depth=self.table_depth,
        )

    def begin(self, head: bytes) -> "Reading | None":
        """A reading of the entry that begins with `head`; None where that is no XML."""
        return Reading(self) if _BEGINS.match(head) else None

    def spend(self, *, elements: int = 0, size: int = 0) -> None:
        """Raises `FileRejected` (`file-too-complex`)."""
        self._elements += elements
        self._bytes += size
        within("elements", self._elements, MAX_ELEMENTS)
        within("text_bytes", self._bytes, TEXT_BYTES)


class Reading:
    """One entry, as it is read."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._depth = self._tables = 0
        self._instruction = ""
        self._in_instruction = False
        self._broken = self._declares = False
        self._size = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = self._declare
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, chunk: bytes) -> None:
        """Raises `FileRejected` (`file-too-complex`) and `BrokenDocumentError`."""
        self._markup.spend(size=len(chunk))
        self._size += len(chunk)
        if self._broken:
            return
        try:
            self._parser.Parse(chunk, False)  # noqa: FBT003 - it takes no keyword
        except (expat.ExpatError, LookupError, ValueError):  # broken, or encoded in an unknown way
            self._broken = True
        if self._declares:
            within("drawing_bytes", self._size, DRAWING_BYTES)

    def _declare(self, _name: str, parameter: bool, value: str | None, *_: object) -> None:  # noqa: FBT001 - expat's own
        """Illustrator gives short names to the namespaces of a drawing, which Word keeps as it is.
        Word processors declare nothing, and what repeats more is an attack."""
        if parameter or value is None or not _NAMESPACE.fullmatch(value):
            raise BrokenDocumentError("it declares entities, as no word processor does")
        self._declares = True

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._markup.spend(elements=1)
        within("attributes", len(attributes), MAX_ATTRIBUTES)
        self._depth += 1
        within("nesting", self._depth, MAX_NESTING)
        local = name.rpartition(":")[2]
        if local in _PARAGRAPHS:
            self._markup.paragraphs += 1
        elif local in _CELLS:
            self._markup.cells += 1
        elif local in _TABLES:
            self._tables += 1
            self._markup.table_depth = max(self._markup.table_depth, self._tables)
        elif local == "instrText":
            self._in_instruction = True
            self._parser.CharacterDataHandler = self._instruct
        elif local == "fldChar":  # another instruction begins, or what it shows
            self._instruction = ""
        elif _acts(local, {key.rpartition(":")[2]: value for key, value in attributes.items()}):
            self._markup.macros = True

    def _end(self, name: str) -> None:
        self._depth -= 1
        local = name.rpartition(":")[2]
        if local in _TABLES:
            self._tables -= 1
        elif local == "instrText":
            self._parser.CharacterDataHandler = None

    def _instruct(self, text: str) -> None:
        """Word writes an instruction in pieces: all up to the next field are one."""
        self._instruction = (self._instruction + text)[:_INSTRUCTION_CHARS]
        if _STARTS_A_PROGRAM.match(self._instruction):
            self._markup.macros = True


def _acts(name: str, attributes: dict[str, str]) -> bool:
    """Whether an element is, or names, what acts by itself. Without namespaces."""
    if name == "Relationship":
        kind = attributes.get("Type", "").rpartition("/")[2].lower()
        external = attributes.get("TargetMode", "").lower() == "external"
        return kind in ("vbaproject", "wordvbadata") or (
            kind == "attachedtemplate" and external and is_remote(attributes.get("Target", ""))
        )
    if name in ("Override", "Default"):
        return attributes.get("ContentType", "").lower().endswith(_MACRO_PARTS)
    if name == "fldSimple":
        return bool(_STARTS_A_PROGRAM.match(attributes.get("instr", "")))
    return name == "event-listener"


def is_remote(template: str) -> bool:
    """Whether a template, whose macros a document brings, comes from the net.

    Most documents written at work name one on a disk or on the office's own server, whose name has
    no dot: nobody else can put anything there, and who opens the document elsewhere doesn't reach
    it.
    """
    found = _HOST.match(template.strip())
    if found is None:
        return False
    if found["unc"] is None and found["scheme"].lower() != "file":
        return True
    host = re.split(r"[\\/]", (found["unc"] or found["rest"]).lstrip("\\/"), maxsplit=1)[0]
    return "." in host or "@" in host
