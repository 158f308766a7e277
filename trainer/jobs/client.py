"""Client of the jobs API for workers (docs/reference/rest.md, Workers)."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from cusp import tls
from cusp.connection import connect
from cusp.errors import CuspError
from cusp.ids import new_id
from cusp.protocol.fields import storable_text
from cusp.protocol.scored import MAX_ANSWER, cut, portions
from cusp.transport.retry_after import asked_wait_s

log = logging.getLogger("cusp")

SCORED = 6  # fields of a row that the monitor takes with the scores; text and answer follow
PORTION_BYTES, PORTION_ROWS = 1_000_000, 2_000  # of texts in a request


class JobLost(Exception):
    """The job's lease was lost to another worker, or the job has ended."""


class JobCancelled(Exception):
    """A person asked that the job ends; the message says who."""


class MonitorRefused(CuspError, ValueError):
    """The monitor answered with an error that a retry would not change, and with this status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Job:
    """A claimed job. `token` is the fencing token; the lease expires `lease_s` s after a heartbeat."""

    id: str
    kind: str
    run_id: str
    payload: Mapping[str, Any]
    token: str
    attempt: int
    lease_s: float


@dataclass(frozen=True)
class Waiting:
    """A job that could be claimed. `recipe` and `box` are of one that begins a run."""

    id: str
    kind: str
    run_id: str
    attempts: int = 0
    recipe: str | None = None
    box: str | None = None

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> "Waiting":
        """Return that of a `Job` of the REST API."""
        submitted = job.get("submitted") or {}
        return cls(
            id=str(job["id"]),
            kind=str(job["kind"]),
            run_id=str(job["run_id"]),
            attempts=int(job.get("attempts", 0)),
            recipe=submitted.get("recipe"),
            box=submitted.get("box"),
        )


class MonitorClient:
    """Calls the monitor; network errors, 5xx answers and such of others are retried until `stopping` is set."""

    LONGEST_WAIT_S = 10.0

    def __init__(self, url: str, token: str | None, stopping: threading.Event) -> None:
        self._http = connect(url, token)
        self._url = url
        self._complained = False
        self._stopping = stopping

    def present(self, words: Mapping[str, Any]) -> None:
        """Say that this worker is there."""
        self._post("/workers", words)

    def waiting(self) -> list[Waiting]:
        """Return the claimable jobs, oldest first."""
        answer = self._until_answered(lambda: self._http.get("/jobs", params={"waiting": "true"}))
        found = answer.json()["jobs"] if answer is not None else []
        return [Waiting.read(one) for one in found]

    def claim(self, worker: str, kinds: Sequence[str], runs: Sequence[str]) -> Job | None:
        """Claim and return the next job of these kinds and runs, or None."""
        asked = {"worker": worker, "kinds": list(kinds), "runs": list(runs)}
        answer = self._post("/jobs/claim", asked)
        if answer is None or answer.status_code == httpx.codes.NO_CONTENT:
            return None
        content = answer.json()
        return Job(**{name: content[name] for name in Job.__dataclass_fields__})

    def heartbeat(
        self, job: Job, progress: Mapping[str, Any] | None, log: Mapping[str, Any] | None = None
    ) -> str | None:
        """Renew the lease, report progress and the log; return who asked that the job ends, None if nobody did.

        JobLost when another worker has the job.
        """
        given = {"progress": progress, "log": log}
        body = {"token": job.token, **{name: dict(what) for name, what in given.items() if what}}
        answer = self._post(f"/jobs/{job.id}/heartbeat", body)
        by = answer.json().get("cancelled_by") if answer is not None else None
        return None if by is None else str(by)

    def post_evaluation(self, job: Job, evaluation: Mapping[str, Any]) -> None:
        """Store the evaluation of one checkpoint on one set, then the texts of its rows; idempotent.

        Rows are `SampleRow`s as lists. Texts that the monitor refuses are left out with a warning: the scores
        of hours must not be lost with them.
        """
        rows = evaluation["rows"]
        brief = {**evaluation, "rows": [row[:SCORED] for row in rows]}
        self._post(f"/jobs/{job.id}/evaluations", {"token": job.token, "evaluation": brief})
        place = {name: evaluation[name] for name in ("step", "task", "split")}
        told = [_sendable(row) for row in rows if row[SCORED:] not in ([], [None, None])]
        self._portions(job, "evaluations/texts", place, "rows", told)

    def post_problems(self, job: Job, task: str, problems: Sequence[tuple[str, str, str]]) -> None:
        """Store (id, question, gold answer) of a task's problems, for the run's page; idempotent."""
        told = [
            {
                "problem_id": name,
                "question": cut(storable_text(question)),
                "gold": cut(storable_text(gold), MAX_ANSWER),
            }
            for name, question, gold in problems
        ]
        self._portions(job, "problems", {"task": task}, "problems", told)

    def _portions(
        self, job: Job, what: str, head: Mapping[str, Any], name: str, rows: Sequence[Any]
    ) -> None:
        """Post the rows in requests of at most PORTION_BYTES."""
        for part in portions(rows, lambda row: len(json.dumps(row)), PORTION_BYTES, PORTION_ROWS):
            try:
                self._post(f"/jobs/{job.id}/{what}", {"token": job.token, **head, name: part})
            except MonitorRefused as refused:
                log.warning("the scores are stored without their texts: %s", refused)
                return

    def unverified(self) -> list[dict[str, Any]]:
        """Return the checkpoints with an alias that no box has verified or pinned since."""
        answer = self._until_answered(lambda: self._http.get("/checkpoints/unverified"))
        return list(answer.json().get("checkpoints", [])) if answer is not None else []

    def checkpoints(self, run_id: str) -> list[dict[str, Any]]:
        """Return the monitor's checkpoints of a run."""
        path = f"/runs/{run_id}/checkpoints"
        answer = self._until_answered(lambda: self._http.get(path))
        return list(answer.json().get("checkpoints", [])) if answer is not None else []

    def read(self, path: str) -> dict[str, Any]:
        """Return what the monitor answers to a GET; empty if `stopping` was set before that."""
        answer = self._until_answered(lambda: self._http.get(path))
        return dict(answer.json()) if answer is not None else {}

    def is_announced(self, run_id: str) -> bool:
        """Return whether the monitor has the run; one that a job is to begin has none until it trains."""
        try:
            self.read(f"/runs/{run_id}")
        except MonitorRefused as refused:
            return refused.status != httpx.codes.NOT_FOUND
        return True

    def report_check(self, checkpoint_id: str, report: Mapping[str, Any]) -> None:
        """Report the result of hashing a checkpoint on this box."""
        self._post(f"/checkpoints/{checkpoint_id}/check", report)

    def finish(
        self,
        job: Job,
        result: Mapping[str, Any] | None,
        error: str | None = None,
        log: Mapping[str, Any] | None = None,
    ) -> None:
        """End the job: as failed with an error, else as done; `log` is what its worker wrote last."""
        body: dict[str, Any] = {"token": job.token, "state": "failed" if error else "done"}
        if error:
            body["error"] = error
        if result is not None:
            body["result"] = dict(result)
        if log:
            body["log"] = dict(log)
        self._post(f"/jobs/{job.id}/finish", body)

    def close(self) -> None:
        self._http.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response | None:
        """Return the answer; None if `stopping` was set before one came.

        All retries carry one Idempotency-Key, so a request whose answer was lost is not executed twice.
        """
        headers = {"Idempotency-Key": new_id()}
        return self._until_answered(lambda: self._http.post(path, json=dict(body), headers=headers))

    def _until_answered(self, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        wait_s = 0.2
        while True:
            try:
                answer: httpx.Response | None = ask()
            except httpx.RequestError as error:
                self._complain(tls.complaint(error, self._url))
                answer = None
            if answer is not None and answer.status_code < 500 and answer.status_code != 429:
                accepted = _accepted(answer)
                if _is_the_monitors(accepted):
                    return accepted
                self._complain(
                    f"{self._url} answers {answer.text.strip()[:80]!r} with {answer.status_code}, which is not the"
                    " monitor's: a proxy in trouble, or another CUSP_URL than the monitor's"
                )
            asked_s = (
                asked_wait_s(answer.status_code, answer.headers) if answer is not None else 0.0
            )
            if self._stopping.wait(max(wait_s, asked_s)):
                return None
            wait_s = min(2 * wait_s, self.LONGEST_WAIT_S)

    def _complain(self, fault: str | None) -> None:
        """Say once what, unlike an outage, may not pass by waiting."""
        if fault and not self._complained:
            log.warning("%s; the worker tries again until then", fault)
        self._complained = self._complained or fault is not None


def _is_the_monitors(answer: httpx.Response) -> bool:
    """Return whether an answer is an object of JSON, or without content: no page of a proxy, no redirection to one."""
    if answer.status_code == httpx.codes.NO_CONTENT:
        return True
    try:
        return answer.is_success and isinstance(answer.json(), dict)
    except ValueError:
        return False


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.status_code == httpx.codes.CONFLICT:
        raise JobLost(answer.text[:300])
    if answer.is_error:
        raise MonitorRefused(
            f"the monitor refused {answer.request.url.path} with {answer.status_code}:"
            f" {answer.text[:300]}",
            answer.status_code,
        )
    return answer


def _sendable(row: Sequence[Any]) -> list[Any]:
    """Return (problem, sample, text, answer) with both texts cut and cleaned for storage."""
    text, answer = (None if each is None else storable_text(str(each)) for each in row[SCORED:])
    return [*row[:2], text and cut(text), answer and cut(answer, MAX_ANSWER)]
