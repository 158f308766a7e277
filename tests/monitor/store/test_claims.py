"""Many workers ask at once: each job is given once."""

import subprocess
import sys

from cusp.ids import new_id
from cusp.protocol.run import RunStart
from monitor.database.engine import Database
from monitor.store import jobs, runs

PROCESSES, JOBS = 8, 500


def test_eight_processes_claim_five_hundred_jobs_each_once(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()
    run_id = new_id()
    with database.write() as tx:
        runs.announce(tx, RunStart(run_id=run_id, attempt_id=new_id(), name="n"), 0.0)
        queued = {jobs.add(tx, run_id, "evaluate", {}, 0.0).id for _ in range(JOBS)}
    database.close()
    command = [sys.executable, "-m", "tests.monitor.store.claimer", database_url]
    claimers = [
        subprocess.Popen(
            [*command, f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(PROCESSES)
    ]
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    got = [claimer.communicate(timeout=120)[0].split() for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0] * PROCESSES
    together = [job_id for each in got for job_id in each]
    assert sum(map(bool, got)) > 1, "one process had them all: nothing was tested"
    assert len(together) == JOBS, "a job was given twice, or never"
    assert set(together) == queued
