"""The tables. A change here needs a migration in the same commit; `make check` compares the two.

Times are UTC seconds since 1970 as floats, ids are ULIDs, JSON columns hold plain objects.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = String(26)


def _run_id(*, primary_key: bool = False) -> Column[str]:
    return Column("run_id", Id, ForeignKey("runs.id"), nullable=False, primary_key=primary_key)


installation = Table(
    "installation",
    metadata,
    # One row, written by the migration: unique to each database, kept by a copy.
    Column("id", Id, primary_key=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_reason", Text),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("last_contact_at", Double, nullable=False),
    Column("last_step", BigInteger),
    # Counts the run's changes; the event stream replays from any cursor.
    Column("cursor", BigInteger, nullable=False),
    # Version of the verdicts, by which a process knows whether its cached detector is current.
    Column("folds", BigInteger, nullable=False),
    Column("verdict", JSON),
    # Soft-deleted: hidden, and purged later; NULL otherwise.
    Column("deleted_at", Double),
    Column("deleted_by", String(200)),
    # Rejected parts of its messages by name (monitor/runs/left_out.py); NULL: none yet.
    Column("left_out", JSON),
    # What people wrote about it; NULL: nothing.
    Column("notes", Text),
    Index(None, "project", "created_at"),
    Index(None, "name"),
)
for _listed in (
    ("created_at", "id"),
    ("project", "created_at", "id"),
    ("status", "created_at", "id"),
):
    # For the list of runs, newest first. Covers counting: rows are long, with config and verdict.
    Index(
        f"ix_runs_listed_{_listed[0]}",
        *(runs.c[_name] for _name in _listed),
        sqlite_where=runs.c.deleted_at.is_(None),
        postgresql_where=runs.c.deleted_at.is_(None),
    )

run_search = Table(
    "run_search",
    metadata,
    _run_id(primary_key=True),
    # Name, project and tags, case folded. A separate table, as a search scans all of it.
    Column("words", Text, nullable=False),
)

run_values = Table(
    "run_values",
    metadata,
    # Per shown series of a run, for columns and sorting of the runs table (monitor/background/summaries.py).
    Column("name", String(200), primary_key=True),
    _run_id(primary_key=True),
    Column("last", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Index(None, "run_id"),
    sqlite_with_rowid=False,
)

run_summaries = Table(
    "run_summaries",
    metadata,
    # State of a run when its `run_values` were made: what of it changes them all, or adds to them.
    _run_id(primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("attempt_count", Integer, nullable=False),
    # CRC-32 of the told roles and of the series' names: which series are shown follows from them.
    Column("shape", BigInteger, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    # A small number for the points table, assigned in order of arrival.
    Column("key", SmallInteger, nullable=False),
    # Rank among the run's attempts, from 0 without gaps (monitor/store/attempt_order.py).
    Column("place", Integer, nullable=False, server_default="0"),
    # Its predecessor in the run's folder, as reported by the trainer.
    Column("after", Id),
    # Whether its process had ended when it was announced; NULL: not reported.
    Column("late", Boolean),
    Column("next_seq", BigInteger, nullable=False),
    Column("first_step", BigInteger),
    Column("last_step", BigInteger),
    Column("status", String(16), nullable=False),
    Column("status_reason", Text),
    Column("host", String(200)),
    Column("started_at", Double, nullable=False),
    Column("last_contact_at", Double, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    # Time from which a later attempt has the run, and the number of points written since.
    Column("superseded_at", Double),
    Column("outrun", BigInteger, nullable=False, server_default="0"),
    # Points that the trainer dropped once it was told that it is superseded.
    Column("withheld", BigInteger, nullable=False, server_default="0"),
    # First and last sign of life by the trainer's clock (monitor/runs/durations.py).
    Column("began_at", Double),
    Column("last_at", Double),
    # Time of the last batch that another process shipped: no sign of life.
    Column("late_at", Double),
    # The step from which on its points may be rows; those before are in `blocks`.
    Column("packed_to", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("run_id", "key"),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _run_id(),
    Column("name", String(200), nullable=False),
    UniqueConstraint("run_id", "name"),
)

points = Table(
    "points",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id"), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("attempt_key", SmallInteger, primary_key=True),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

# Points by 256 steps of one attempt, in place of their rows (monitor/store/packed/blocks.py).
blocks = Table(
    "blocks",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id"), primary_key=True),
    Column("attempt_key", SmallInteger, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("stride", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("packed", LargeBinary, nullable=False),
)

boundaries = Table(
    "boundaries",
    metadata,
    _run_id(primary_key=True),
    Column("attempt_key", SmallInteger, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
)

samples = Table(
    "samples",
    metadata,
    _run_id(primary_key=True),
    Column("attempt_key", SmallInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("completion", Text, nullable=False),
    Column("rewards", JSON, nullable=False),
    Index(None, "run_id", "step"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _run_id(primary_key=True),
    Column("attempt_key", SmallInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    _run_id(primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("phase", String(16), nullable=False),
    Column("score", Double, nullable=False),
    Column("evidence", JSON, nullable=False),
)

change_points = Table(
    "change_points",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    Column("kind", String(24), nullable=False),
    Column("seen_at_step", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    # Set when a person has reviewed it; the detector does not override that.
    Column("author", String(200)),
    UniqueConstraint("run_id", "kind", "seen_at_step"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    # Key of the finding, so that it leads to one decision of each kind.
    Column("finding", String(80), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("step", BigInteger),
    Column("checkpoint_step", BigInteger),
    Column("reason", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("run_id", "finding", "kind"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    Column("kind", String(8), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("steps", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_reason", Text),
    Column("step", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("delivered_at", Double),
    Column("agreed_at", Double),
    Column("done_at", Double),
    Index(None, "run_id", "state"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    Column("attempt_key", SmallInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("path", String(1000), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    # Time of the last verification report from its box; NULL: none since registration.
    Column("checked_at", Double),
    Index(None, "run_id", "step"),
)

aliases = Table(
    "aliases",
    metadata,
    _run_id(primary_key=True),
    Column("alias", String(64), primary_key=True),
    Column("checkpoint_id", Id, ForeignKey("checkpoints.id"), nullable=False),
    Column("author", String(200), nullable=False),
    Column("moved_at", Double, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    # No foreign key: a submitted training has its run id before the run is announced.
    Column("run_id", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # Fencing token: grows with every claim; a write with an older one is refused.
    Column("token", Integer, nullable=False),
    Column("worker", String(200)),
    Column("lease_until", Double),
    Column("attempts", SmallInteger, nullable=False),
    Column("progress", JSON),
    Column("error", Text),
    Column("result", JSON),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    # Who asked that it ends; a worker that has it hears so at its next heartbeat.
    Column("cancelled_by", String(200)),
    Index(None, "state", "created_at"),
)

# The last lines of what a worker wrote, a row for each claim; apart, as lists of jobs are read without them.
job_logs = Table(
    "job_logs",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("token", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Id, nullable=False),
    Column("worker", String(200)),
    # How many lines it wrote in all.
    Column("total", BigInteger, nullable=False),
    Column("lines", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    # A process; several may be on a box.
    Column("name", String(200), primary_key=True),
    Column("box", String(200), nullable=False),
    Column("gpus", Integer, nullable=False),
    # Names of the recipes that it can train.
    Column("recipes", JSON, nullable=False),
    Column("seen_at", Double, nullable=False),
)

verifications = Table(
    "verifications",
    metadata,
    Column("id", Id, primary_key=True),
    _run_id(),
    # The attempt that trained when it was asked for, and the command to it or the job that verifies.
    Column("attempt_id", Id, nullable=False),
    Column("command_id", Id, ForeignKey("commands.id")),
    Column("job_id", Id, ForeignKey("jobs.id")),
    Column("number", Integer, nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    # Of the verdict that it was asked on.
    Column("step", BigInteger, nullable=False),
    Column("evidence", Double, nullable=False),
    # Whether a transition was suspected, so that the outcome may refute it.
    Column("suspected", Boolean, nullable=False),
    # Steps of the earlier checkpoints, and those of them that somebody had kept before.
    Column("candidates", JSON, nullable=False),
    Column("kept_before", JSON, nullable=False),
    Column("stages", JSON, nullable=False),
    Column("alpha", Double, nullable=False),
    Column("budget", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    # Its answer; NULL: none yet, or none will come: the command or job says so.
    Column("outcome", String(16)),
    # Step of the weights that were scored, and the attempt whose they are.
    Column("measured_step", BigInteger),
    Column("attempt_key", SmallInteger),
    # Scores by step (monitor/store/scores/verifications.py), and what the test made of them.
    Column("scores", JSON),
    Column("comparisons", JSON),
    Column("capital", Double),
    Column("completions", BigInteger),
    Column("seconds", Double),
    Column("by", String(16)),
    Column("done_at", Double),
    Index(None, "run_id"),
    Index(None, "command_id"),
    Index(None, "job_id"),
)

evaluations = Table(
    "evaluations",
    metadata,
    # Of a posted one the id that its client made, by which further rows and repeats are known.
    Column("id", Id, primary_key=True),
    _run_id(),
    # NULL: no job of ours made it; `source` says who did (docs/reference/scores.md).
    Column("job_id", Id, ForeignKey("jobs.id")),
    Column("checkpoint_id", Id, ForeignKey("checkpoints.id")),
    Column("step", BigInteger, nullable=False),
    Column("task", String(200), nullable=False),
    Column("split", String(16), nullable=False),
    Column("source", String(32), nullable=False, server_default="worker"),
    Column("author", String(200)),
    Column("scores", JSON, nullable=False),
    # Characters of its rows' texts, which are bounded (monitor/store/scores/scored_rows.py).
    Column("text_chars", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("job_id", "step", "task", "split"),
    Index(None, "run_id"),
)

evaluation_rows = Table(
    "evaluation_rows",
    metadata,
    Column("evaluation_id", Id, ForeignKey("evaluations.id"), primary_key=True),
    Column("problem_id", String(200), primary_key=True),
    Column("sample", SmallInteger, primary_key=True),
    # From 0 (wrong) to 1 (right); NULL when the judge could not decide.
    Column("score", Double),
    # NULL in all of these: not told, as in scores that others made.
    Column("tokens", Integer),
    Column("finish_reason", String(16)),
    Column("seed", BigInteger),
    # The completion, and what the judge read in it.
    Column("text", Text),
    Column("answer", Text),
    sqlite_with_rowid=False,
)

evaluation_problems = Table(
    "evaluation_problems",
    metadata,
    # The problems of the tasks that a run was scored on, so that a page can show them.
    _run_id(primary_key=True),
    Column("task", String(200), primary_key=True),
    Column("problem_id", String(200), primary_key=True),
    Column("question", Text, nullable=False),
    Column("gold", Text, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    _run_id(primary_key=True),
    Column("cursor", BigInteger, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("ref", JSON, nullable=False),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    # No foreign key: the log outlives a purged run. NULL: the action was on no run.
    Column("run_id", Id),
    Column("at", Double, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(32), nullable=False),
    Column("target", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "run_id", "at"),
)

answers = Table(
    "answers",
    metadata,
    # Stored answers by Idempotency-Key: a repeated request gets the same one.
    Column("key", String(200), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", Double, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    # The id is a public part of the token; of the secret only the SHA-256 is stored.
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("project", String(200)),
    # No foreign key: a trainer's token is made before its run is announced.
    Column("run_id", Id),
    Column("created_at", Double, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Column("revoked_by", String(200)),
)

session_key = Table(
    "session_key",
    metadata,
    # One row, created by the first monitor that needs it: with CUSP_TOKEN it signs session cookies.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("secret", String(64), nullable=False),
)

ended_sessions = Table(
    "ended_sessions",
    metadata,
    # Logged-out sessions; deleted when their cookie has expired.
    Column("id", String(64), primary_key=True),
    Column("ends_at", Double, nullable=False),
)

purged = Table(
    "purged",
    metadata,
    # Tombstone of a purged run, by which late messages are refused. Its rows are deleted in chunks until
    # `done_at`.
    Column("run_id", Id, primary_key=True),
    Column("author", String(200), nullable=False),
    Column("purged_at", Double, nullable=False),
    Column("done_at", Double),
    Column("rows", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("url", String(2_000), nullable=False),
    Column("topics", JSON, nullable=False),
    Column("project", String(200)),
    # Signing needs the secret itself, not a hash; it is emptied when the webhook is removed.
    Column("secret", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("removed_at", Double),
    Column("removed_by", String(200)),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("webhook_id", Id, ForeignKey("webhooks.id"), nullable=False),
    # No foreign key: pending events of a run are delivered after its purge, too.
    Column("run_id", Id),
    Column("topic", String(32), nullable=False),
    # Deduplication key of the event: a finding is delivered once, however often it is recomputed.
    Column("key", String(160), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # Fencing token: a sender paused past its lease cannot record an outcome.
    Column("token", Integer, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("lease_until", Double),
    Column("http_status", SmallInteger),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    UniqueConstraint("webhook_id", "key"),
    Index(None, "state", "next_at"),
    Index(None, "run_id"),
)
