"""Requests as the page of the API docs sends them at a first try: with what it fills in itself."""

import json
from collections.abc import Iterator
from typing import Any

LAST = ("remove_upload", "purge_form")
"""After them nothing else would be found."""


def first_tries(document: dict[str, Any], ids: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One request for each operation, as arguments for a client, with its `operation`. Of what is
    required and has no example, an id is one of `ids` by the parameter's name."""
    operations = [
        (path, method, each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]
    operations.sort(key=lambda each: LAST.index(_name(each)) if _name(each) in LAST else -1)
    for path, method, operation in operations:
        filled = {each["name"]: _filled(each) for each in operation.get("parameters", [])}
        places = {each["name"]: each["in"] for each in operation.get("parameters", [])}
        url = path
        for name, place in places.items():
            if place == "path":
                url = url.replace(f"{{{name}}}", str(filled[name] or ids[name]))
        kind, body = _body(operation)
        yield {
            "operation": operation["operationId"],
            "method": method.upper(),
            "url": url,
            "params": _in("query", places, filled),
            "headers": {
                **_in("header", places, filled),
                "Accept": _accepted(operation),
                **({"Content-Type": kind} if kind else {}),
            },
            **body,
        }


def _name(operation: tuple[str, str, dict[str, Any]]) -> str:
    return str(operation[2]["operationId"])


def _filled(described: dict[str, Any]) -> Any:
    """The value that Swagger UI puts into its field; None for an empty one."""
    examples = [each["value"] for each in described.get("examples", {}).values()]
    schema = described.get("schema", {})
    known = [described.get("example"), *examples, schema.get("example"), schema.get("default")]
    return next((each for each in known if each is not None), None)


def _in(place: str, places: dict[str, str], filled: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(filled[name])
        for name, each in places.items()
        if each == place and filled[name] is not None
    }


def _accepted(operation: dict[str, Any]) -> str:
    """The media type of the first answer that has one."""
    for answer in operation["responses"].values():
        for kind in answer.get("content", {}):
            return str(kind)
    return "*/*"


def _body(operation: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The first kind of body, as it is filled in; a file where one is asked for. A multipart body
    says by itself what it is."""
    if "requestBody" not in operation:
        return None, {}
    kind, content = next(iter(operation["requestBody"]["content"].items()))
    if kind == "multipart/form-data":
        parts = content["schema"].get("properties", {})
        return None, {"files": {name: _part(schema) for name, schema in parts.items()}}
    if "json" in kind:
        return kind, {"content": json.dumps(content["example"])}
    return kind, {"content": str(content.get("example", "bytes"))}


def _part(schema: dict[str, Any]) -> tuple[str | None, bytes]:
    if schema.get("format") == "binary":
        return ("file.pdf", b"%PDF-1.7")
    return (None, str(schema.get("example", "string")).encode())
