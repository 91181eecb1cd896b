"""What an error of the database means to whoever runs it."""

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from shared.reaching import why

_BY_STATE = {
    "28P01": "PostgreSQL refuses the password of {user!r}; correct user or password",
    "28000": "PostgreSQL lets {user!r} not in ({said}); correct the user, or allow it to log in",
    "3D000": "there is no database {database!r}; make it with: createdb {database}",
    "42501": "{user!r} may not use the tables ({said}); make it their owner, or grant it rights",
    "53300": "PostgreSQL has no connection left; raise max_connections, or run fewer apis",
    "57P03": "PostgreSQL is starting or stopping ({said}); try again",
}
"""By SQLSTATE."""
_BY_TEXT = {
    "file is not a database": "{file} is no SQLite database; name another file",
    "unable to open database file": "{file} can't be opened; its folder has to be there, and be"
    " ours to write",
    "readonly database": "{file} can't be written; give it to the user of this service",
    "database is locked": "{file} is locked by another process; try again when it has ended",
    "disk i/o error": "{file}: reading or writing failed; look after the disk",
}
"""By SQLite's own words."""


def explain(error: BaseException, url: URL) -> str:
    """What is wrong with `DATABASE_URL` or behind it, and what to do; without the password."""
    said = " ".join(_origin(error).split())
    facts = {"user": url.username, "database": url.database, "file": url.database, "said": said}
    state = _state(error)
    if state in _BY_STATE:
        return _BY_STATE[state].format(**facts)
    for words, text in _BY_TEXT.items():
        if words in said.lower():
            return text.format(**facts)
    server = f"{url.host}:{url.port or 5432}" if url.host else str(url.query.get("host", "it"))
    away = why(error, server)
    if away and url.get_backend_name() != "sqlite":
        return f"{away}; start PostgreSQL, or correct the address"
    return f"the database answers: {said}"


def _state(error: BaseException | None) -> str | None:
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if state:
            return str(state)
        error = error.__cause__
    return None


def _origin(error: BaseException) -> str:
    """The driver's own words, without what SQLAlchemy puts around them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            return str(cause.orig)
        cause = cause.__cause__
    return str(error.__cause__ or error) or type(error).__name__
