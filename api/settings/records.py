"""Nothing but the database: for commands that run where the rest isn't configured."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from api.settings.database_url import DatabaseUrl


class RecordsSettings(BaseSettings):
    """Raises `pydantic.ValidationError` when it is missing or wrong."""

    model_config = SettingsConfigDict(extra="ignore")
    database_url: DatabaseUrl
