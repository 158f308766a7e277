"""Sender thread: ships spools to the monitor and receives commands.

No network error reaches the training. The monitor ignores repeats and asks again after a gap, so
at-least-once delivery here is effectively once there.
"""

import json
import logging
import os
import random
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from pydantic import ValidationError

from cusp import tls
from cusp.connection import connect
from cusp.protocol.messages import Command, Refusal, Reply
from cusp.protocol.reading import read_reply
from cusp.transport.announcement import leaner
from cusp.transport.attempt import Attempt, load_leftover
from cusp.transport.retry_after import asked_wait_s

log = logging.getLogger("cusp")

HEARTBEAT_S = 0.5  # bounds the delay of a stop to this and one step
COALESCE_S = 0.02  # joins the several messages of one step in a batch
GAP_S = 0.2  # between two requests; joins the steps of a fast loop
# A request holds the GIL for milliseconds. In a loop of dozens of steps a second, one of a hundred log()
# calls would wait for it; with a longer gap it is one of several hundred.
MANY, GAP_OF_MANY_S = 10, 0.5
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 10.0
TIMEOUT_S = 10.0  # read timeout
UNWANTED = (400, 413, 422)  # statuses that refuse the content
BELIEVED_AFTER = 3  # refusals before a message is given up: a single one may come from a proxy


class MonitorRefusal(Exception):
    """The monitor refuses this request for good (4xx): a retry is of no use."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the monitor answered {status}: {detail}")
        self.status = status


class Sender:
    """Ships one live attempt and then the left-over ones, until closed.

    `on_commands` is called in the sender's thread with all open commands of each reply (repeats, too): one
    that is missing from a later reply was closed by the monitor. `on_superseded` is called with the
    monitor's message whenever a later attempt has the run, `on_refused` with the refused parts of a batch,
    `on_suspected` with each reply's last step before a suspected transition, or None.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        live: Attempt,
        *,
        leftover: list[Attempt] | None = None,
        on_commands: Callable[[list[Command]], None] = lambda commands: None,
        on_superseded: Callable[[str], None] = lambda words: None,
        on_refused: Callable[[list[Refusal]], None] = lambda refused: None,
        on_suspected: Callable[[int | None], None] = lambda since: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = connect(
            url,
            token,
            timeout=httpx.Timeout(TIMEOUT_S, connect=min(5.0, TIMEOUT_S)),
            trusted=_trusted(url),
            transport=transport,
        )
        self._url = url
        self._live = live
        self._leftover = leftover or []
        # Folders of attempts of other runs with messages to ship (`neighbours.py`).
        self._beside: list[Path] = []
        self._on_commands, self._on_refused = on_commands, on_refused
        self._on_superseded, self._on_suspected = on_superseded, on_suspected
        self._process = os.getpid()  # a forked child has this object without its thread
        self._said_unknown = False
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._closing = threading.Event()
        self._hurry = threading.Event()  # set at the training's end: send without gaps
        self._retry_s = self._backoff_s = 0.0
        self._gap_s = GAP_S
        self._silent_for = 0
        self._complained: set[str] = set()  # kinds of failure said since the last success
        self._refused_seq, self._refusals = -1, 0
        self.failures = 0
        self.refused = False  # the last failure was a refusal of this run, not a network error
        self._thread = threading.Thread(target=self._run, name="cusp-sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Wake the thread: there are messages to send."""
        if os.getpid() == self._process:
            self._wake.set()

    def ship_also(self, folder: Path) -> None:
        """Ship the spool in `folder`, of an attempt without a live process, after the live one."""
        if folder not in self._beside:
            self._beside.append(folder)
        self.wake()

    def drain(self, timeout_s: float) -> bool:
        """Wait; return whether the monitor holds every message of the live attempt within the time.

        Messages for other runs then have 2 s more.
        """
        if os.getpid() != self._process:
            return True
        self._hurry.set()
        self.wake()
        with self._progress:
            sent = self._progress.wait_for(lambda: self._live.spool.pending() == 0, timeout_s)
            if sent:
                self._progress.wait_for(lambda: not self._beside, 2.0)
        return sent

    def close(self, timeout_s: float = 2.0) -> None:
        """End the thread; unsent messages stay in the spool."""
        if os.getpid() != self._process:
            return
        self._closing.set()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            shipped_at, resting_s = time.monotonic(), self._retry_s
            if self._wake.wait(resting_s or HEARTBEAT_S):
                self._wake.clear()
                since_s = time.monotonic() - shipped_at
                ends = self._closing if resting_s else self._hurry
                ends.wait(max(COALESCE_S, (resting_s or self._gap_s) - since_s))
            try:
                self._ship_everything()
            except Exception as error:  # broad: no error here may hurt the training
                self._failed(error)
            with self._progress:
                self._progress.notify_all()
        for attempt in self._leftover:
            attempt.close()
        self._http.close()

    def _ship_everything(self) -> None:
        self._ship(self._live)
        while self._leftover and not self._closing.is_set():
            if self._ship_leftover(self._leftover[0]):
                self._leftover.pop(0).close()
            self._ship(self._live)
        while self._beside and not self._closing.is_set():
            if attempt := load_leftover(self._beside[0]):
                try:
                    self._ship_leftover(attempt)
                finally:
                    attempt.close()
            self._beside.pop(0)

    def _ship_leftover(self, attempt: Attempt) -> bool:
        """Ship a left-over attempt; return whether it is finished with."""
        try:
            return self._ship(attempt)
        except MonitorRefusal as refusal:
            if refusal.status == 404 and not attempt.forgotten:
                attempt.forgotten = True  # announced again in the next round
                return False
            # It must not block the live attempt for ever; `cusp sync` can try again.
            log.warning("Cusp leaves attempt %s on disk: %s", attempt.attempt_id, refusal)
            return True

    def _ship(self, attempt: Attempt) -> bool:
        """Send the pending messages in batches; return whether none is left.

        The first batch is also the heartbeat. Messages logged meanwhile are sent in the next round.
        """
        if not attempt.announced:
            self._announce(attempt)
            attempt.announced = True
        first, upto = True, attempt.spool.next_seq
        self._gap_s = GAP_OF_MANY_S if attempt.spool.pending() > MANY else GAP_S
        while (first or attempt.spool.acked < upto) and not self._closing.is_set():
            first, before = False, attempt.spool.acked
            self._ship_batch(attempt)
            if attempt.spool.acked == before:
                break  # no progress; retry at the next heartbeat
            with self._progress:
                self._progress.notify_all()
        return attempt.spool.pending() == 0

    def _announce(self, attempt: Attempt) -> None:
        """Announce the attempt, with ever less content while the monitor refuses it."""
        try:
            self._post("/runs", attempt.announcement())
        except MonitorRefusal as refusal:
            if refusal.status not in UNWANTED:
                raise
            whole = attempt.announcement()
            for start in leaner(whole):
                try:
                    self._post("/runs", start)
                except MonitorRefusal as again:
                    if again.status not in UNWANTED:
                        raise
                    continue
                missing = sorted(k for k, v in whole.items() if start.get(k) != v)
                log.warning(
                    "Cusp announced the run without its whole %s: %s", ", ".join(missing), refusal
                )
                return
            raise

    def _ship_batch(self, attempt: Attempt) -> None:
        spool = attempt.spool
        seq = max(spool.acked, spool.oldest())
        lines = spool.read(seq)
        try:
            reply = self._post_batch(attempt, seq, lines)
        except MonitorRefusal as refusal:
            if refusal.status == 404:  # unknown run (a new database): announce again
                attempt.announced = False
                raise
            if refusal.status not in UNWANTED or not lines:
                raise
            reply = self._isolate(attempt, seq, lines, refusal)
        if attempt is self._live:
            if reply.superseded:
                attempt.superseded = True
                self._on_superseded(reply.superseded)
            self._on_suspected(reply.suspected_since)
            self._on_commands(reply.commands)
        spool.acknowledge(reply.next_seq)

    def _isolate(
        self, attempt: Attempt, seq: int, lines: list[str], refusal: MonitorRefusal
    ) -> Reply:
        """Bisect a refused batch; a refused single message is replaced by an `unsendable` marker."""
        if len(lines) == 1:
            self._doubt(seq, refusal)
            log.warning("Cusp set one message aside that the monitor refused: %s", refusal)
            stand_in = json.dumps({"kind": "unsendable", "reason": str(refusal)[:500]})
            return self._post_batch(attempt, seq, [stand_in])
        half = len(lines) // 2
        for start, part in ((seq, lines[:half]), (seq + half, lines[half:])):
            try:
                reply = self._post_batch(attempt, start, part)
            except MonitorRefusal as error:
                if error.status not in UNWANTED:
                    raise
                reply = self._isolate(attempt, start, part, error)
        return reply

    def _doubt(self, seq: int, refusal: MonitorRefusal) -> None:
        """Raise the refusal of a message until it has been refused `BELIEVED_AFTER` times."""
        self._refusals = self._refusals + 1 if seq == self._refused_seq else 1
        self._refused_seq = seq
        if self._refusals < BELIEVED_AFTER:
            raise refusal

    def _post_batch(self, attempt: Attempt, seq: int, lines: list[str]) -> Reply:
        head = json.dumps(
            {
                "v": 1,
                "attempt_id": attempt.attempt_id,
                "first_seq": seq,
                "dropped": attempt.spool.dropped,
                "oldest_seq": attempt.spool.oldest(),
                "sent_at": time.time(),
                "late": attempt.late,
                "withheld": attempt.withheld,
            }
        )
        body = f'{head[:-1]},"messages":[{",".join(lines)}]}}'
        answer = self._post(f"/runs/{attempt.run_id}/batches", body)
        try:
            reply, unknown = read_reply(answer)
        except ValidationError as error:
            raise MonitorRefusal(200, f"this is not a Cusp monitor: {answer[:80]!r}") from error
        for problem in unknown:
            if not self._said_unknown:  # a newer monitor repeats the command in every reply
                log.warning("Cusp leaves out a command that it does not know: %.300s", problem)
            self._said_unknown = True
        if reply.refused:
            self._on_refused(reply.refused)
        self._recovered()  # resets the back-off, even if the next batch fails
        return reply

    def _post(self, path: str, body: object) -> bytes:
        content = body if isinstance(body, str) else json.dumps(body)
        answer = self._http.post(
            path, content=content, headers={"Content-Type": "application/json"}
        )
        if answer.is_success:
            return answer.content
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            raise httpx.HTTPStatusError(
                f"the monitor answered {answer.status_code}",
                request=answer.request,
                response=answer,
            )
        raise MonitorRefusal(answer.status_code, answer.text[:300])

    def _recovered(self) -> None:
        if self._silent_for:
            log.warning("Cusp reached the monitor at %s again; nothing was lost", self._url)
        self._retry_s = self._backoff_s = 0.0
        self._silent_for = 0
        self._complained.clear()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._backoff_s = min(LONGEST_RETRY_S, max(FIRST_RETRY_S, self._backoff_s * 2))
        self._backoff_s *= random.uniform(0.8, 1.2)
        # Jitter: many trainers were given the same Retry-After. Later, never sooner.
        self._retry_s = max(self._backoff_s, _asked_wait_s(error) * random.uniform(1.0, 1.1))
        self.refused = isinstance(error, MonitorRefusal) and error.status in (409, 410)
        kind, words = self._complaint(error)
        if kind not in self._complained:  # once each: a monitor that comes up may refuse the token
            self._complained.add(kind)
            log.warning("%s", words)
        self._silent_for += 1

    def _complaint(self, error: Exception) -> tuple[str, str]:
        """Return the kind of a failure, and the sentence that says it and the way out."""
        goes_on = "The training goes on, its points wait on disk"
        if isinstance(error, MonitorRefusal) and error.status in (401, 403):
            return "token", (
                f"The monitor at {self._url} refuses the token ({error.status}); set CUSP_TOKEN to one it"
                f" knows. {goes_on}."
            )
        if self.refused:
            return "run", f"The monitor at {self._url} does not take this run: {error}. {goes_on}."
        if isinstance(error, OSError):
            return "disk", (
                f"Cusp cannot read what it has to send ({error}). The training goes on and is not recorded"
                " until that folder is there again."
            )
        return "silence", (
            f"Cusp cannot reach the monitor at {self._url} ({tls.complaint(error, self._url) or error})."
            f" {goes_on}; start it with `cusp serve` or set CUSP_URL."
        )


def _trusted(url: str) -> ssl.SSLContext:
    """Return the SSL context; one that trusts nobody, with a warning, if the setting is unusable."""
    try:
        return tls.context(url)
    except tls.CertificatesUnreadable as error:
        log.warning(
            "Cusp trusts no certificate: %s. The training goes on without the monitor.", error
        )
        return tls.nobody()


def _asked_wait_s(error: Exception) -> float:
    answer = error.response if isinstance(error, httpx.HTTPStatusError) else None
    return asked_wait_s(answer.status_code, answer.headers) if answer is not None else 0.0
