"""The worker's wiring: what a worker is made of, and what runs beside the work."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import structlog

from shared.causes import Cause
from shared.finding import Level, refuse_or_tell, warning
from worker.breaker import Breaker
from worker.cleaning import Cleaner
from worker.diagnosis.folders import check_folders
from worker.diagnosis.office import check_office
from worker.diagnosis.records import check_records
from worker.diagnosis.redis import check_redis
from worker.errors import TransientError
from worker.object_store import StoreSettings, open_object_store
from worker.office.converter import Office
from worker.office.program import find_program
from worker.pipeline import Pipeline
from worker.promoter import Promoter
from worker.queue import work
from worker.records_client import RecordsClient, open_records
from worker.sandbox import Decoder
from worker.scanner import Clamd, Scanner
from worker.scanner.address import parse
from worker.settings import Settings
from worker.storing import Storing
from worker.telling import keep_telling
from worker.watch import Watch

log = structlog.get_logger()

PROBE_SECONDS = 0.5
"""For a self-test that is cut short to take its probe away; the next one finds it otherwise."""


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    Raises `StartError` with all that is wrong. Redis, the object store and the api may be away,
    now and later: uploads wait for them. A Redis that refuses user or password is wrong at the
    start, and waited for later.
    """
    redis = await check_redis(settings.redis_url, away=warning)
    refuse_or_tell([*check_folders(settings), *redis])
    scratch = _own_scratch(settings.scratch_dir)
    try:
        breaker = Breaker()
        async with (
            open_records(settings) as records,
            open_object_store(store_settings(settings), breaker) as store,
            Decoder() as decoder,
        ):
            program = find_program(settings.soffice)
            refuse_or_tell(await check_office(program, settings, records))
            office = _office(program, settings, scratch)
            watches, storing = [Watch(store, breaker)], storing_for(settings, breaker)
            scanner = scanner_for(settings, records)
            if scanner:
                watches.append(Watch(scanner, scanner.breaker))
            beside = [
                *(asyncio.create_task(watch.run()) for watch in watches),
                asyncio.create_task(keep_telling(records, storing)),
                asyncio.create_task(_tell_of_records(records, settings)),
            ]
            if office:
                beside.append(asyncio.create_task(_warm_up(office)))
            for task in beside:
                task.add_done_callback(_end_with)
            own = settings.model_copy(update={"scratch_dir": scratch})
            pipeline = Pipeline(store, storing, decoder, own, scanner, office)
            promoter = Promoter(records, pipeline)
            try:
                await work(own, promoter, Cleaner(records, store, breaker), watches)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside, timeout=PROBE_SECONDS)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _end_with(task: asyncio.Task[None]) -> None:
    """What runs beside the work isn't to die unseen: stop in order, and be started again."""
    if not task.cancelled() and task.exception():
        log.error("worker_part_ended", exc_info=task.exception())
        signal.raise_signal(signal.SIGTERM)


def store_settings(settings: Settings) -> StoreSettings:
    return StoreSettings(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key.get_secret_value(),
    )


def storing_for(settings: Settings, breaker: Breaker) -> Storing:
    return Storing(
        breaker,
        puts=settings.max_puts,
        uploads=settings.max_checked,
        scratch_bytes=settings.max_checked_bytes,
    )


def scanner_for(settings: Settings, records: RecordsClient) -> Scanner | None:
    """The scanner of `CLAMD_ADDRESS`; None without one."""
    if settings.clamd_address is None:
        return None
    return Scanner(
        Clamd(parse(settings.clamd_address)),
        Breaker(name=Cause.SCANNER),
        scans=settings.max_scans,
        seconds=settings.scan_seconds,
        largest_field=records.largest_scanned_bytes,
    )


def _office(program: Path | None, settings: Settings, scratch: Path) -> Office | None:
    if program is None:
        return None
    return Office(
        program,
        scratch,
        deadline_seconds=settings.office_seconds,
        at_once=settings.max_office,
    )


async def _warm_up(office: Office) -> None:
    """The first document needn't wait for it. If it fails, documents will, and say so."""
    try:
        await office.prepare()
    except (TransientError, OSError) as error:
        log.error("office_doesnt_start", reason=str(error))


async def _tell_of_records(records: RecordsClient, settings: Settings) -> None:
    """Once, beside the start: the api may come later, but a wrong secret stays one."""
    finding = await check_records(records, settings)
    if finding.level is Level.WRONG:
        away = finding.name == "INTERNAL_URL"  # it may be on its way
        tell = log.warning if away else log.error
        tell("start_check", setting=finding.name, reason=finding.text)


def _own_scratch(root: Path) -> Path:
    """A folder for this process. Those of processes that are no more are removed."""
    for folder in root.iterdir():
        if folder.name.isdecimal() and not Path("/proc", folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)
    own = root / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    return own
