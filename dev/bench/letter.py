"""A letter as a word processor saves it: a DOCX of a few pages."""

import io
import zipfile

_TYPES = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType=\
"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
</Types>"""
_RELATIONS = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="word/document.xml" Type=\
"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
</Relationships>"""
_DOCUMENT = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:body>{}</w:body></w:document>"""
_PARAGRAPH = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
_NEXT_PAGE = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
_SENTENCE = "A photo, a licence and a letter of recommendation are what is asked for here. "


def write(pages: int) -> bytes:
    page = "".join(_PARAGRAPH.format(f"{n}. " + _SENTENCE * 3) for n in range(1, 12))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("[Content_Types].xml", _TYPES)
        parts.writestr("_rels/.rels", _RELATIONS)
        parts.writestr("word/document.xml", _DOCUMENT.format(_NEXT_PAGE.join([page] * pages)))
    return written.getvalue()
