"""The thread that stores the values of the runs table, and how long a run waits for its turn."""

import threading
import time

from fastapi.testclient import TestClient

from monitor.background.summaries import Summaries
from monitor.services import Service
from monitor.store.table import run_values
from tests.messages import Trainer, point


def test_a_long_run_does_not_keep_the_others_waiting(api: TestClient) -> None:
    """It rests as if its turn had taken hours; half a minute would be too old for the columns of the others."""
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    service.values.closing.set()  # the monitor's own thread would do the work
    values = Summaries(service.database)
    long, short = Trainer(api, name="long"), Trainer(api, name="short")
    for trainer in (long, short):
        trainer.send(point(1, kl=1.0))

    def stored(trainer: Trainer) -> bool:
        with service.database.read() as tx:
            return run_values.summary_state(tx, trainer.run_id) is not None

    def turns() -> None:
        while not values.closing.is_set():
            values.turn(rest=1e6)
            values.closing.wait(0.01)

    values._turns = 1  # only what is noted: nothing was left behind
    values.note({long.run_id})
    thread = threading.Thread(target=turns)
    thread.start()
    try:
        until = time.monotonic() + 10
        while not stored(long):
            assert time.monotonic() < until
            time.sleep(0.02)
        values.note({short.run_id})
        while not stored(short) and time.monotonic() < until:
            time.sleep(0.02)
        assert stored(short)
    finally:
        values.closing.set()
        thread.join(10)
