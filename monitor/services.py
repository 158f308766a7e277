"""The long-lived objects of one monitor process."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from monitor.actions.require import is_purged
from monitor.auth.tokens import Tokens
from monitor.background.summaries import Summaries
from monitor.database.engine import Database, Transaction
from monitor.errors import Conflict
from monitor.ingest.ingest import Ingest
from monitor.live.changes import Reader
from monitor.live.fresh import Fresh, LiveReadings
from monitor.live.hub import Hub
from monitor.live.postgres_notify import PostgresNotify
from monitor.live.run_stream import Channels
from monitor.live.runs_stream import TableStream
from monitor.prometheus import Measures
from monitor.schemas import readings
from monitor.schemas import run as run_schema
from monitor.schemas.run_data import RunData
from monitor.settings import MonitorConfig
from monitor.store import run_list
from monitor.store.access import idempotency
from monitor.store.run_list import Page, PageCursor, Wanted
from monitor.store.table import sorting
from monitor.store.table.sorting import Column, Order


class Service:
    """One monitor process."""

    def __init__(self, config: MonitorConfig, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        self.database = Database(config.database_url, self.changed)
        self.hub = Hub()
        self.values = Summaries(self.database)
        reader = Reader(self.database, self.summaries_of)
        self.channels, self.table = Channels(self.hub, reader), TableStream(self.hub, reader)
        self.known = LiveReadings(self.channels.follows, lambda: self.clock(), config.lost_after_s)
        self.tokens = Tokens(self.database, config.token, lambda: self.clock())
        self.fanout = (
            None if self.database.is_sqlite else PostgresNotify(self.database.url, self.hub.changed)
        )
        self.measures = Measures(self.database, lambda: self.channels.count() + self.table.count())
        self.ingest = Ingest(
            self.database,
            clock=clock,
            series_limit=config.series_limit,
            took=self.measures.took,
            known=self.known,
            tell=self.tell,
        )

    def changed(self, run_ids: Set[str]) -> None:
        """Wake the runs' viewers, here and at the other monitors. Called after each commit."""
        self.hub.changed(run_ids)
        self.values.note(run_ids)
        if self.fanout is not None:
            self.fanout.tell(run_ids)

    def tell(self, run_id: str, fresh: Fresh) -> None:
        """Hand the run's viewers here what a committed batch changed; other monitors read it."""
        self.known.told(run_id, fresh)
        self.hub.told(run_id, fresh)
        if self.fanout is not None:
            self.fanout.tell({run_id})

    def summary(self, run_id: str) -> dict[str, Any] | None:
        """Return the run as the runs table shows it, None if it is not there or was purged."""
        return next(iter(self.summaries_of([run_id])), None)

    def summaries_of(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return those of the runs that are here as the runs table shows them."""
        with self.database.read() as tx:
            found = run_list.some(tx, run_ids)
            gone = {run.id for run in found if run.deleted_at and is_purged(tx, run.id)}
            return self.summaries(tx, [run for run in found if run.id not in gone])

    def summaries(self, tx: Transaction, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return run rows as the runs table shows them."""
        read, now = readings.read(tx, found), self.clock()
        for run in found:
            self.known.keep(run.id, run.cursor, read[run.id])
        return [
            run_schema.summary(run, read[run.id], now, self.config.lost_after_s) for run in found
        ]

    def listed(
        self,
        tx: Transaction,
        wanted: Wanted,
        limit: int,
        before: PageCursor | None,
        *,
        deleted: bool = False,
    ) -> Page:
        """Return a page of the list of runs, or of the deleted ones."""
        now, silent_s = self.clock(), self.config.lost_after_s
        return run_list.page(
            tx, wanted, limit, before, deleted=deleted, now=now, lost_after_s=silent_s
        )

    def table_page(
        self,
        tx: Transaction,
        wanted: Wanted,
        order: Order | None,
        limit: int,
        before: PageCursor | None,
        skip: int,
        columns: Sequence[Column] = (),
    ) -> Page:
        """Return a page of the runs with columns of choice: sorted from place `skip` on, else `listed`."""
        silent = self.clock() - self.config.lost_after_s
        if order is not None:
            return sorting.sorted_page(tx, wanted, order, limit, skip, columns, silent_since=silent)
        extra = sorting.selected(columns)
        return run_list.page(tx, wanted, limit, before, now=silent, lost_after_s=0.0, extra=extra)

    def detailed(self, tx: Transaction, run: Any) -> dict[str, Any]:
        """Return a run row as its page shows it."""
        return self.detailed_of(RunData(tx, run))

    def detailed_of(self, data: RunData, parts: Iterable[str] | None = None) -> dict[str, Any]:
        """Return what was read of a run as its page shows it; with `parts` only these of it."""
        return run_schema.detail(data, self.clock(), self.config.lost_after_s, parts)

    def idempotent(
        self, key: str | None, question: object, act: Callable[[Transaction], dict[str, Any]]
    ) -> dict[str, Any]:
        """Act in one transaction; a repeat with the same Idempotency-Key gets the same answer.

        Conflict is raised when the key was used for another request.
        """
        with self.database.write() as tx:
            if key is None:
                return act(tx)
            request = hashlib.sha256(json.dumps(question, default=str).encode()).hexdigest()
            if idempotency.reserve(tx, key, request, self.clock()):
                body = act(tx)
                idempotency.complete(tx, key, body)
                return body
            known = idempotency.get(tx, key)
            if known is None or known.request != request:
                raise Conflict(
                    f"the Idempotency-Key {key!r} was used for another request; use a new one"
                )
            return dict(known.body)
