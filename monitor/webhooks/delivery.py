"""Sends what is in the outbox: claims, signs, posts, records what came of it.

At least once, in no promised order: a courier that dies after posting leaves a lease that runs out, and
another one sends the same bytes under the same id again. Any number of monitors may run couriers.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from cusp import __version__, tls
from monitor.database.engine import Database, Unavailable
from monitor.errors import AddressRefused
from monitor.store.access import deliveries
from monitor.store.access import webhooks as store
from monitor.webhooks import outbox
from monitor.webhooks.client import Outcome, Resolve, post, resolve
from monitor.webhooks.signing import signed_headers
from monitor.webhooks.ssrf import Network, parse

log = logging.getLogger("cusp")

LOOK_EVERY_S = 1.0
REST_S = 0.1  # after a turn: what one batch tells is sent together
MOST_AT_ONCE = 8
GONE = 410


class Delivery:
    """What to send: a few at once, each in a thread of its own.

    `wake` is set when another may be sent; none is begun once `closing` is set.
    `look_up` and `context` are the edges: names to addresses, and whose certificates are trusted.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        *,
        allowed: Sequence[Network] = (),
        lost_after_s: float = 60.0,
        root_path: str = "",
        look_up: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._database, self._clock = database, clock
        self._allowed, self._look_up = allowed, look_up
        self._lost_after_s = lost_after_s
        self._root_path = root_path
        self._context = context
        self.closing, self.wake = threading.Event(), threading.Event()
        self._free = threading.Semaphore(MOST_AT_ONCE)

    def turn(self) -> None:
        """Begin to send what is due; a POST under way when the monitor ends is left to its lease."""
        outbox.emit_lost(self._database, self._clock(), self._lost_after_s)
        self._start_due()
        self.closing.wait(REST_S)

    def send_due(self) -> int:
        """Send everything that is due now, one after another, and return how much that was."""
        outbox.emit_lost(self._database, self._clock(), self._lost_after_s)
        count = 0
        while (row := self._claimed()) is not None:
            self._send(row)
            count += 1
        return count

    def _start_due(self) -> None:
        while not self.closing.is_set() and self._free.acquire(timeout=LOOK_EVERY_S):
            row: deliveries.DeliveryRow | None = None
            try:
                row = self._claimed()
            finally:  # a database that goes away here must not take the place with it
                if row is None:
                    self._free.release()
            if row is None:
                return
            threading.Thread(target=self._send_beside, args=(row,), daemon=True).start()

    def _send_beside(self, row: deliveries.DeliveryRow) -> None:
        try:
            self._send(row)
        except Unavailable as error:
            log.warning("webhook delivery %s will be repeated: %s", row.id, error)
        finally:
            self._free.release()
            self.wake.set()

    def _claimed(self) -> deliveries.DeliveryRow | None:
        now = self._clock()
        with self._database.read() as tx:
            if not deliveries.any_due(tx, now):
                return None
        with self._database.write() as tx:
            return deliveries.claim(tx, now)

    def _send(self, row: deliveries.DeliveryRow) -> None:
        with self._database.read() as tx:
            webhook = store.get(tx, row.webhook_id)
        if webhook is None or webhook.removed_at is not None:
            return  # what waited for it was dropped with it
        outcome = self._posted(webhook, row)
        with self._database.write() as tx:
            deliveries.finish(tx, row, **_recorded(outcome, row.attempts, self._clock()))

    def _posted(self, webhook: store.WebhookRow, row: deliveries.DeliveryRow) -> Outcome:
        try:
            target = parse(webhook.url)
        except AddressRefused as refused:
            return Outcome(None, str(refused))
        body = outbox.addressed(row.body, self._root_path)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Cusp/{__version__}",
            "Cusp-Topic": row.topic,
            **signed_headers(webhook.secret, row.id, time.time(), body),
        }
        try:
            if self._context is None:  # made late: reading the certificates takes a while
                self._context = tls.context("https:")
        except tls.CertificatesUnreadable as unreadable:
            return Outcome(None, str(unreadable))
        return post(
            target,
            headers,
            body.encode(),
            allowed=self._allowed,
            context=self._context,
            look_up=self._look_up,
        )


def _recorded(outcome: Outcome, attempts: int, now: float) -> dict[str, object]:
    """Return the columns that an outcome changes: delivered, tried again later, or given up."""
    told = {"http_status": outcome.status, "error": outcome.error}
    if outcome.is_success:
        return {**told, "state": "delivered", "ended_at": now}
    wait_s = None if outcome.status == GONE else outbox.retry_after_s(attempts)
    if wait_s is None:
        return {**told, "state": "dead", "ended_at": now}
    return {**told, "state": "waiting", "next_at": now + wait_s}
