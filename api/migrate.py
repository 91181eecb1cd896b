"""`python -m api.migrate`: bring the database to this version's schema, once, before a start."""

import sys

from pydantic import ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from api.records import migrate
from api.records.faults import explain as explain_database
from api.records.schema import SchemaError
from api.settings.records import RecordsSettings
from api.texts.errors import Problem
from shared.finding import refuse, wrong
from shared.settings_errors import explain


def main() -> int:
    try:
        settings = RecordsSettings()
    except ValidationError as error:
        return refuse("api", explain(error))
    try:
        migrate.run(settings.database_url)
    except SchemaError as error:
        return refuse("api", [wrong("DATABASE_URL", str(error))])
    except (Problem, SQLAlchemyError, OSError) as error:
        text = explain_database(error, make_url(settings.database_url))
        return refuse("api", [wrong("DATABASE_URL", text)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
