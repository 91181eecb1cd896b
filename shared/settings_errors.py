"""A wrong setting in one line: which one, and what is wrong with it."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    if first["type"] == "missing":
        return f"{name}: is not set"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{name}: {reason}" if name else reason
