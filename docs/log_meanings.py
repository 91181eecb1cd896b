"""What each event of the logs means, and each cause for which an upload is given back.

A new event is found in the code (`docs/log_events.py`) and has to be explained here.
"""  # noqa: INP001 - a folder of documents, not a package

from docs.log_events import events_of
from docs.tables import table
from shared.causes import Cause

API = {
    "api_starting": "It begins to serve.",
    "api_stopping": "It was told to stop: nobody new is let in, what is under way may finish.",
    "api_stopped": "It served to the end of what was under way.",
    "attempt_given_back": "A worker whose lease was taken for lost is alive: the attempt doesn't"
    " count. Machines that pause are a reason, or a network that does.",
    "client_began_too_many_drafts": "More than `MAX_DRAFTS_PER_HOUR`; it is answered 429. If it"
    " hits everybody, a proxy isn't named: `TRUSTED_PROXIES`.",
    "client_has_its_share": "More connections than `MAX_CONNECTIONS_PER_CLIENT`, told once a"
    " minute; see `client_began_too_many_drafts`.",
    "close_failed": "The volume said so late that a file can't be written; it was not"
    " acknowledged. Look after the disk.",
    "commit_listener_failed": "A fault of ours, after a commit: who waits is told up to a second"
    " later. Report it.",
    "commit_unknown": "SQLite broke off while it committed; clients were answered 503 and repeat."
    " Look after the disk.",
    "decoder_died_again": "Two decoding children ended by this file; it is rejected, its bytes are"
    " kept: [a sandbox](troubleshooting.md#files) before you open them.",
    "digest_failed": "What was received couldn't be hashed along. The end of a resumable upload"
    " reads it again, and says what is wrong; any other file is answered 503, and sent anew.",
    "enqueue_failed": "Redis took no wake-ups. The sweep wakes workers instead, so that uploads"
    " take some ten seconds longer.",
    "failed_bytes_end_soon": "A failed upload whose bytes go at `until_ms`: [try it"
    " again](runbook.md#uploads-failed).",
    "following_failed": "A fault of ours: a stream of events ended. Clients connect anew. Report"
    " it.",
    "form_transition": "A form changed its status. `from` is null for a new one.",
    "form_type_gone": "There are forms of a type that `FORMS_DIR` doesn't have any more: their"
    " requests are 503. Put it back.",
    "group_lost": "SQLite took none of a group of transactions; clients were answered 503 and"
    " repeat. Most often its disk is full.",
    "lease_lost": "A worker wasn't heard of for `LEASE_SECONDS`: the upload is given to another."
    " [Which died, and of what?](runbook.md#a-lease-is-stuck-or-lost)",
    "looking_for_changes_failed": "A fault of ours: who waits is told late. Report it.",
    "loop_held": "Something held everybody up for more than 0.25 s; the route is named. A busy"
    " machine does that, too.",
    "old_bytes_condemned": "Bytes of a rejected or failed upload are [past their"
    " age](retention.md).",
    "old_form_purged": "A form is [past its age](retention.md).",
    "orphan_quarantined": "A file on the volume has no record; it is kept for"
    " `QUARANTINE_SECONDS`. [Many of them](runbook.md#orphans-appear) are a fault.",
    "request_failed": "A request was answered with a 5xx, such as `unavailable` or `storage-full`;"
    " `cause` says why.",
    "segments_lost": "Acknowledged bytes of a resumable upload are gone from the volume: it failed,"
    " and its sender is told to begin anew. Look at the volume.",
    "start_check": "Something may be wrong, named by its setting:"
    " [troubleshooting](troubleshooting.md).",
    "sweep_row_failed": "A duty of the sweep failed for one upload or form; the others went on."
    " Report it.",
    "sweep_step_failed": "A duty of the sweep failed. It is tried again with the next sweep. Report"
    " it if it stays.",
    "sweep_without_database": "The sweep couldn't ask the database: it is tried again with the"
    " next.",
    "unhandled_error": "A fault of ours: 500 `internal-error`; the traceback follows. Report it.",
    "unlink_failed": "A file that is over can't be deleted; it is tried again. Look after the"
    " volume.",
    "upload_given_back": "A worker couldn't do it now, for the [cause](#causes); it is tried"
    " again.",
    "upload_abandoned": "No bytes of a resumable upload came for `RECEIVING_KEEP_SECONDS`: it is"
    " `expired`.",
    "upload_not_finished": "All bytes of a resumable upload are here, and it can't become a file of"
    " its form by now: `code` says why. It is tried again at each sweep until it expires.",
    "upload_overdue": "`DEADLINE_SECONDS` went by: it is `failed`, with its bytes kept. [Try it"
    " again](runbook.md#uploads-failed).",
    "upload_released": "The back end let a flagged upload be the value of its field.",
    "upload_transition": "An upload changed its status. `from` is null for a new one.",
    "volume_mismatch": "The volume is another's, or isn't mounted: nothing is taken.",
}

WORKER = {
    "breaker_closed": "What `of` names works again; what waited goes on.",
    "breaker_opened": "The store takes no puts, or the scanner gives no verdicts; uploads wait."
    " [The bucket](runbook.md#the-bucket-is-away-or-refuses).",
    "bytes_gone": "The file is missing, or isn't what was acknowledged. If the api finds the same,"
    " the upload is `failed`. Look after the volume.",
    "claim_failed": "The api didn't say whether the upload is ours; the sweep wakes somebody.",
    "claim_over": "Another worker has it, it isn't due, or it is settled. Quite usual.",
    "cleaning_broke_off": "A doomed prefix wasn't deleted; it is tried again.",
    "heartbeat_lost": "The api wasn't told in time; the lease lasts for some more of them.",
    "lease_lost": "The upload isn't ours any more: the work is given up.",
    "limits_not_known": "An api of an older version. The scanner is tried with smaller files.",
    "multipart_not_aborted": "Parts of an object may be left in the bucket. Give it a lifecycle"
    " rule that aborts multiparts after a day.",
    "no_conditional_writes": "Nothing has to be done: keys of each attempt's own have to do.",
    "office_doesnt_start": "LibreOffice is missing or broken; documents wait."
    " [LibreOffice](troubleshooting.md#libreoffice).",
    "office_made_nothing": "LibreOffice couldn't read a document; it is rejected.",
    "outcome_not_reported": "No api took what came of it; the lease runs out, and it is done"
    " again.",
    "outcome_over": "It came too late: another generation has the upload. What was put is deleted.",
    "outcome_refused": "The api can't do anything with what came of it: versions that don't"
    " belong together. Report it.",
    "own_prefix_not_deleted": "What was put too late stays for a time; it is doomed all the same.",
    "page_not_drawn": "A preview of a PDF couldn't be drawn; the PDF is stored without it.",
    "prefix_cleaned": "What a doomed prefix held was deleted.",
    "promotion_broke": "A fault of ours, with its traceback; the upload is tried again. Report it.",
    "promotion_ended": "What came of an upload was taken by the api.",
    "promotion_given_back": "It can't be done now, for the [cause](#causes). An error where"
    " somebody has to act.",
    "promotion_started": "An upload was claimed.",
    "put_postponed": "A put failed; it is tried again. An error where the store refuses us.",
    "records_call_repeated": "An api didn't answer, or answered 5xx; it is asked again.",
    "redis_lost": "No jobs come; the worker goes on by itself when Redis is back. An error where"
    " Redis refuses us.",
    "redis_works_again": "It does.",
    "scanner_check_broke": "A fault of ours in the scanner's self-test. Report it.",
    "scanner_checked": "What was [found out about the scanner](troubleshooting.md#the-scanner).",
    "scanner_limit": "clamd's limits are below a file's size, which waits: set what `change` says.",
    "scanner_works_again": "All that was wrong with the scanner is right.",
    "start_check": "Something is wrong, named by its setting:"
    " [troubleshooting](troubleshooting.md).",
    "store_check_broke": "A fault of ours in the store's self-test. Report it.",
    "store_checked": "What was [found out about the store](troubleshooting.md#the-object-store).",
    "store_works_again": "All that was wrong with the store is right.",
    "upload_flagged": "A field keeps a file with a finding; the back end decides.",
    "upload_scanned": "The scanner's word: `verdict`, `signature`, `engine`, `database`.",
    "worker_part_ended": "A fault of ours: the worker ends, to be started again. Report it.",
    "worker_report_lost": "The api wasn't told how the worker is; the next report is never far.",
    "worker_starting": "It begins to take jobs.",
    "worker_stopped": "It gave back what wasn't done.",
    "zygote_died": "Decoding children can't be forked; a new zygote is started. Memory is the most"
    " likely reason.",
    "zygote_not_started": "Each file gets a fresh child, which costs 0.2 s. Memory, or"
    " `MAX_DECODERS`.",
    "zygote_stuck": "A zygote that didn't bury a child was killed.",
}

CAUSES = {
    Cause.STORE: "the bucket can't be reached or misbehaves: [runbook](runbook.md"
    "#the-bucket-is-away-or-refuses)",
    Cause.STORE_REFUSED: "it answers, but not to us: keys, bucket or permissions",
    Cause.SCANNER: "the scanner gave no verdict: it is away, starting, or too slow",
    Cause.SCANNER_REFUSED: "it finds no test virus: its signatures are missing",
    Cause.VOLUME: "the bytes can't be read, or the volume is another's: mount it",
    Cause.DECODER: "the decoding child crashed or exceeded a limit; after two the file is rejected",
    Cause.BUSY: "it ran out of time and hardly got the processor: too much goes on at once",
    Cause.MEMORY: "it was killed from outside, or the machine has no memory",
    Cause.SCRATCH: "it couldn't write: `SCRATCH_DIR` is full",
    Cause.OFFICE: "LibreOffice is missing or doesn't start",
    Cause.REFUSED: "the api can't do anything with the outcome: versions that don't belong"
    " together",
    Cause.DEADLINE: "`WORK_SECONDS` were over",
    Cause.SHUTDOWN: "the worker was told to stop; another goes on at once",
    Cause.UNEXPECTED: "a fault of ours, with `promotion_broke` before it",
}


def log_blocks() -> dict[str, str]:
    """The tables of docs/logs.md."""
    return {
        "events of the api": _table(API, "api", "shared"),
        "events of the worker": _table(WORKER, "worker", "shared"),
        "causes": table(
            ("Cause", "What it is"), ((f"`{cause}`", text) for cause, text in CAUSES.items())
        ),
    }


def _table(meanings: dict[str, str], *folders: str) -> str:
    rows = (
        (
            f"`{name}`",
            ", ".join(sorted(event.levels)),
            " ".join(f"`{key}`" for key in sorted(event.keys)) or "–",
            meanings.get(name, "?"),
        )
        for name, event in events_of(*folders).items()
    )
    return table(("Event", "Level", "With", "What it means, and what to do"), rows)
