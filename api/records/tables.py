"""The tables. Times are milliseconds since the epoch by the database's clock."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TextClause,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
Json = JSON(none_as_null=True)

# What partial indexes are for. A query that says one of these in the same words can use its index;
# no database can tell that from a bound parameter.
IS_STAGED = text("status = 'staged'")
WAS_WOKEN = text("status = 'staged' AND wakes_unanswered > 0")
IS_PROCESSING = text("status = 'processing'")
IS_RECEIVING = text("status = 'receiving'")
IS_COMPLETE = text("status = 'receiving' AND received = size")
IS_BACKLOG = text("status IN ('receiving', 'staged', 'processing', 'failed')")
IS_DRAFT = text("status = 'draft'")
IS_PURGING = text("status = 'purging'")
HOLDS_SLOT = text("status = 'stored' AND NOT withheld")
KEEPS_BYTES = text("bytes = 'kept'")
HAS_CONDEMNED_BYTES = text("bytes = 'condemned'")
SPARES = text("from_prefix IS NOT NULL AND bytes = 'kept'")
IS_CONDEMNED = text("condemned")
IS_TO_BE_CLEANED = text("passes < 2")
IS_CLEANED = text("passes >= 2")


def _partial(name: str, *columns: str, where: TextClause) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


forms = Table(
    "forms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("type", String(50), nullable=False),
    Column("reference", String(200)),
    Column("status", String(20), nullable=False),  # draft | submitted | purging
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("data", Json, nullable=False),  # text values only: file attributes are derived
    Column("version", BigInteger, nullable=False),  # grows with every change
    Column("edit", BigInteger, nullable=False),  # grows when the person edits
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("submitted_at", BigInteger),
    # given by the back end: where posts from its own pages lead, and what it wants to find again
    Column("success_redirect", String(2000)),
    Column("error_redirect", String(2000)),
    Column("metadata", Json),
    Column("edited_at", BigInteger),  # null until the sweep dates what an older api made
    Index("ix_forms_created_at_id", "created_at", "id"),
    Index("ix_forms_submitted_at_id", "submitted_at", "id"),
    Index("ix_forms_reference", "reference"),
    _partial("ix_forms_purging", "id", where=IS_PURGING),
    _partial("ix_forms_drafts", "edited_at", where=IS_DRAFT),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), nullable=False),
    Column("field", String(50), nullable=False),
    Column("slot", String(50), nullable=False),  # the field; the upload itself where many fit
    Column("seq", BigInteger, nullable=False),  # order of acknowledgement within the form
    Column("key", String(200)),  # the client's own, unique within the field
    Column("status", String(20), nullable=False),
    Column("stage", String(20)),
    Column("version", BigInteger, nullable=False),  # the form's, at the last change of this row
    # who owns it (protocol P3)
    Column("generation", Integer, nullable=False),
    Column("applied_generation", Integer, nullable=False),
    Column("claim_id", String(64)),
    Column("work_until", BigInteger),  # its worker puts nothing after this
    Column("lease_until", BigInteger),
    Column("attempts", Integer, nullable=False),
    # counted only because their lease was lost: given back when their worker is heard of after all
    Column("lost_generations", Json, nullable=False, server_default="[]"),
    # times a decoding child died of this file
    Column("decoder_deaths", Integer, nullable=False, server_default="0"),
    Column("backoffs", Integer, nullable=False),  # times it was given back in a row
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    # wake-ups (protocol P4)
    Column("wake", Integer, nullable=False),
    Column("wakes_unanswered", Integer, nullable=False),
    Column("wake_at", BigInteger, nullable=False),
    # what was received
    Column("filename", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),  # null where the body went over its limit
    Column("declared_type", String(255)),
    Column("bytes", String(12), nullable=False),  # kept | condemned | gone (protocol P5)
    # of a resumable upload: how many bytes were acknowledged, who may add some (the last request to
    # begin), and what the client said of the whole
    Column("received", BigInteger),
    Column("writer", Integer, nullable=False, server_default="0"),
    Column("announced_sha256", String(64)),
    Column("tus_metadata", String(4096)),
    # an earlier upload of the form that it reuses, and where in the bucket its bytes are if they
    # aren't on the volume: `bytes` is said of them then
    Column("from_id", String(40)),
    Column("from_prefix", String(700)),
    Column("from_name", String(100)),
    Column("policy", Json, nullable=False),
    Column("key_base", String(512), nullable=False),
    Column("request_id", String(100)),
    # what became of it
    Column("detected_type", String(255)),
    Column("object", Json),
    Column("derivatives", Json, nullable=False),
    Column("notices", Json, nullable=False),
    Column("flags", Json, nullable=False, server_default="[]"),
    # flagged and not released: stored, and no value of its field
    Column("withheld", Boolean, nullable=False, server_default=false()),
    Column("released_at", BigInteger),
    Column("error", Json),
    Column("scan", Json),  # the verdict, by which signatures, and when; null without a scanner
    Column("public_url", String(2000)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_uploads_form_id", "form_id"),
    UniqueConstraint("form_id", "field", "key"),
    Index(
        "uq_uploads_stored_slot",
        "form_id",
        "slot",
        unique=True,
        sqlite_where=HOLDS_SLOT,
        postgresql_where=HOLDS_SLOT,
    ),
    _partial("ix_uploads_due", "wake_at", where=IS_STAGED),
    _partial("ix_uploads_woken", "wake_at", where=WAS_WOKEN),
    _partial("ix_uploads_leases", "lease_until", where=IS_PROCESSING),
    _partial("ix_uploads_deadlines", "deadline", where=IS_STAGED),
    _partial("ix_uploads_receiving", "deadline", where=IS_RECEIVING),
    _partial("ix_uploads_complete", "deadline", where=IS_COMPLETE),
    _partial("ix_uploads_condemned", "id", where=HAS_CONDEMNED_BYTES),
    _partial("ix_uploads_backlog", "status", "created_at", where=IS_BACKLOG),
    _partial("ix_uploads_spared", "from_prefix", where=SPARES),
    # all that is asked of bytes on the volume is in it: how old, and how many
    _partial("ix_uploads_kept", "status", "updated_at", "created_at", "size", where=KEEPS_BYTES),
)

segments = Table(
    "segments",
    metadata,
    # A file of what one process has received of a resumable upload. Its name is owned in
    # `staged_names` too.
    Column("name", String(40), primary_key=True),
    Column("upload_id", ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False),
    Column("start", BigInteger, nullable=False),  # where its first byte is in the upload
    Column("size", BigInteger, nullable=False),  # acknowledged bytes of it; these never change
    Column("condemned", Boolean, nullable=False, server_default=false()),  # nobody needs it
    UniqueConstraint("upload_id", "start"),
    _partial("ix_segments_condemned", "name", where=IS_CONDEMNED),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("upload_id", String(40)),
    Column("from_status", String(20)),
    Column("to_status", String(20)),
    Column("stage", String(20)),
    Column("generation", Integer),
    Column("at", BigInteger, nullable=False),
    Index("ix_events_form_id_version", "form_id", "version"),
)

staged_names = Table(
    "staged_names",
    metadata,
    # Whoever inserts the name first owns the file: the receiver, or the sweep that takes it for
    # an orphan (protocol P5).
    Column("name", String(40), primary_key=True),
    Column("condemned", Boolean, nullable=False),
    Column("at", BigInteger, nullable=False),
    _partial("ix_staged_names_condemned", "at", where=IS_CONDEMNED),
)

cleanings = Table(
    "cleanings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("prefix", String(700), nullable=False, unique=True),
    Column("form_id", String(40), nullable=False),  # outlives the form's row
    Column("not_before", BigInteger, nullable=False),
    Column("passes", Integer, nullable=False),  # done after the second, a day later
    Column("at", BigInteger, nullable=False),
    _partial("ix_cleanings_due", "not_before", where=IS_TO_BE_CLEANED),
    _partial("ix_cleanings_done", "id", where=IS_CLEANED),
    Index("ix_cleanings_form_id", "form_id"),
)

running_keys = Table(
    "running_keys",
    metadata,
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), primary_key=True),
    Column("field", String(50), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("until", BigInteger, nullable=False),
)

begun_drafts = Table(
    "begun_drafts",
    metadata,
    # how many drafts a client address began, in steps of some minutes; gone after an hour
    Column("client", String(64), primary_key=True),  # a keyed hash, not the address
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("drafts", Integer, nullable=False),
    Index("ix_begun_drafts_step", "step"),
)

volume = Table(
    "volume",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),  # always 1: there is one volume
    Column("id", String(40), nullable=False),
    Column("confirmed", Boolean, nullable=False),  # its marker file was written
)

# As many rows as there are workers, and so without an index but its key.
workers = Table(
    "workers",
    metadata,
    Column("id", String(40), primary_key=True),  # the process's own, new at each start
    Column("store", String(20), nullable=False),  # ok | away | refused
    Column("store_since", BigInteger, nullable=False),
    Column("waiting", Integer, nullable=False),  # checked, and not yet stored
    Column("seen_at", BigInteger, nullable=False),
)

# Written by whatever brings the schema up to date.
compatibility = Table(
    "compatibility",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("oldest", String(40), nullable=False),  # revision of the oldest code that works on it
)
