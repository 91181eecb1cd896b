"""The tables of a database, made in this process: one of its own would take twenty times as long."""

from concurrent.futures import ThreadPoolExecutor

from api.records import migrate


def make_tables(database_url: str) -> None:
    """As `python -m api.migrate` does; a test that runs in a loop may call it, too."""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(migrate.run, database_url).result()
