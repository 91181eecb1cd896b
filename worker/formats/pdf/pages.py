"""The pages of a document, by a walk of our own: qpdf's copies what is listed twice."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pikepdf

from worker.errors import FileRejected
from worker.formats.pdf.budget import Objects

COUNTED = 10_000
"""Pages that are counted to tell a person how many there are, where the field allows fewer."""


@dataclass
class Pages:
    found: list[pikepdf.Object] = field(default_factory=list)
    missing: int = 0
    """Of those that are listed: there is no such object."""


def list_pages(document: pikepdf.Pdf, max_pages: int, objects: Objects) -> Pages:
    """Every page in its order, once for each time it is listed.

    What the tree says of its own size isn't believed. A branch is followed once, so that one in a
    circle ends. Raises `FileRejected`: `file-corrupt`, `file-too-many-pages`, `file-too-complex`.
    """
    root = _tree(document)
    pages = Pages()
    counted = 0
    for node in _leaves(root, objects):
        if node is None:
            pages.missing += 1
            continue
        counted += 1
        if counted <= max_pages:
            pages.found.append(node)
        elif counted > COUNTED:
            break
    if counted > max_pages:
        raise FileRejected("file-too-many-pages", {"pages": counted, "max_pages": max_pages})
    if not pages.found:
        raise FileRejected("file-corrupt")
    return pages


def _tree(document: pikepdf.Pdf) -> pikepdf.Dictionary:
    catalog = document.Root
    root = catalog.get("/Pages") if isinstance(catalog, pikepdf.Dictionary) else None
    if not isinstance(root, pikepdf.Dictionary):
        raise FileRejected("file-corrupt")
    return root


def _leaves(root: pikepdf.Dictionary, objects: Objects) -> Iterator[pikepdf.Object | None]:
    if "/Kids" not in root and root.get("/Type") == pikepdf.Name.Page:
        yield root  # a tree that is its only page
        return
    seen = {root.objgen}
    branches = [_kids(root)]
    while branches:
        for node in branches[-1]:
            objects.spend()
            if node is None:
                yield None
            elif not isinstance(node, pikepdf.Dictionary):
                continue
            elif "/Kids" not in node:
                yield node
            elif node.is_indirect and node.objgen not in seen:
                seen.add(node.objgen)
                branches.append(_kids(node))
                break
        else:
            branches.pop()


def _kids(node: pikepdf.Dictionary) -> Iterator[pikepdf.Object | None]:
    kids = node.get("/Kids")
    if isinstance(kids, pikepdf.Array):
        for index in range(len(kids)):  # iterating over it copies it first
            yield kids[index]
