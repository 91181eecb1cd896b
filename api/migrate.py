"""`python -m api.migrate`: bring the database to this version's schema, once, before a start."""

import sys

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import SQLAlchemyError

from api.errors import Problem
from api.records import migrate
from shared.settings_errors import explain


class MigrationSettings(BaseSettings):
    """Nothing but the database: migrations run where the rest isn't configured."""

    model_config = SettingsConfigDict(extra="ignore")
    database_url: str = Field(min_length=1)


def main() -> int:
    try:
        settings = MigrationSettings()
    except ValidationError as error:
        sys.stderr.write(f"api: {explain(error)}\n")
        return 1
    try:
        migrate.run(settings.database_url)
    except (Problem, SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"api: DATABASE_URL: {error.__cause__ or error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
