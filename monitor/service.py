"""What a route works with: the database, the ingest, the hub, the configuration."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from monitor import run_readings, superseded, views
from monitor.broadcast import Channels
from monitor.config import MonitorConfig
from monitor.deletion import is_purged, refuse_deleted, refuse_purged
from monitor.events import Hub, Reader
from monitor.fanout import Fanout
from monitor.ingest import Ingest
from monitor.measures import Measures
from monitor.problems import Conflict, NotFound
from monitor.store import answers, run_list, runs
from monitor.store.database import Database, Transaction
from monitor.store.run_list import Page, Place, Wanted
from monitor.sweep import Sweeper
from monitor.table_stream import TableStream
from monitor.tokens import Tokens


class Service:
    """One monitor process."""

    def __init__(self, config: MonitorConfig, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        self.database = Database(config.database_url)
        self.hub = Hub()
        reader = Reader(self.database, self.summaries_of)
        self.channels, self.table = Channels(self.hub, reader), TableStream(self.hub, reader)
        self.tokens = Tokens(self.database, config.token, lambda: self.clock())
        self.fanout = (
            None if self.database.is_sqlite else Fanout(self.database.url, self.hub.changed)
        )
        self.measures = Measures(self.database, lambda: self.channels.count() + self.table.count())
        self.sweeper = Sweeper(
            self.database, self.changed, lambda: self.clock(), config.lost_after_s
        )
        self.ingest = Ingest(
            self.database,
            self.changed,
            clock=clock,
            series_limit=config.series_limit,
            took=self.measures.took,
        )

    def open(self) -> None:
        """Begin serving, on the running event loop."""
        self.hub.open()
        self.sweeper.start()
        if self.fanout is not None:
            self.fanout.start()

    def close(self) -> None:
        """End all streams and connections."""
        self.hub.close()
        self.sweeper.close()
        if self.fanout is not None:
            self.fanout.close()
        self.database.close()

    def changed(self, run_id: str) -> None:
        """Wake the run's viewers, here and at the other monitors. Called after the commit."""
        self.hub.changed(run_id)
        if self.fanout is not None:
            self.fanout.tell(run_id)

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
        read, now = run_readings.read(tx, found), self.clock()
        return [views.summary(run, read[run.id], now, self.config.lost_after_s) for run in found]

    def listed(
        self,
        tx: Transaction,
        wanted: Wanted,
        limit: int,
        before: Place | None,
        *,
        deleted: bool = False,
    ) -> Page:
        """Return a page of the list of runs, or of the deleted ones."""
        now, silent_s = self.clock(), self.config.lost_after_s
        return run_list.page(
            tx, wanted, limit, before, deleted=deleted, now=now, lost_after_s=silent_s
        )

    def detailed(self, tx: Transaction, run: Any) -> dict[str, Any]:
        """Return a run row as its page shows it."""
        return views.detail(tx, run, self.clock(), self.config.lost_after_s)

    def still_training(self, tx: Transaction, run_id: str) -> list[int]:
        """Return the numbers of the run's superseded attempts that are heard of all the same."""
        attempts = runs.attempts_of(tx, run_id)
        return superseded.alive(attempts, self.clock(), self.config.lost_after_s)

    def once(
        self, key: str | None, question: object, act: Callable[[Transaction], dict[str, Any]]
    ) -> dict[str, Any]:
        """Act in one transaction; a repeat with the same Idempotency-Key gets the same answer.

        Conflict is raised when the key was used for another request.
        """
        with self.database.write() as tx:
            if key is None:
                return act(tx)
            request = hashlib.sha256(json.dumps(question, default=str).encode()).hexdigest()
            if answers.reserve(tx, key, request, self.clock()):
                body = act(tx)
                answers.complete(tx, key, body)
                return body
            known = answers.get(tx, key)
            if known is None or known.request != request:
                raise Conflict(
                    f"the Idempotency-Key {key!r} was used for another request; use a new one"
                )
            return dict(known.body)


def run_or_404(tx: Transaction, run_id: str, *, locked: bool = False) -> Any:
    """Return the run's row; NotFound names the id, Purged says who ended it.

    `locked` is for acting on the run: Deleted is raised for one that has to be restored first.
    """
    run = runs.lock(tx, run_id) if locked else runs.get(tx, run_id)
    if run is None or run.deleted_at is not None:
        refuse_purged(tx, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r} here")
    if locked:
        refuse_deleted(run)
    return run


async def _service(request: Request) -> Service:  # a coroutine, as it costs no turn in a thread
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
