"""The yardstick: plain sqlite3 in the training process, one executemany and one commit a step."""

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main

TABLES = """
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS points (run TEXT, name INT, step INT, value REAL, at REAL,
PRIMARY KEY (run, name, step)) WITHOUT ROWID;
"""


class Sqlite(Client):
    """WAL and synchronous=NORMAL, as Cusp and trackio have it: committed when the call returns."""

    def start(self, run: str) -> None:
        self.connection = sqlite3.connect(Path(self.given.dir, "points.db"))
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.executescript(TABLES)
        self.run = run
        self.ids: dict[str, int] = {}

    def log(self, step: int, metrics: dict[str, float]) -> None:
        now, ids = time.time(), self.ids
        for name in metrics.keys() - ids.keys():
            add = "INSERT INTO names (name) VALUES (?) ON CONFLICT DO UPDATE SET name=name RETURNING id"
            ids[name] = self.connection.execute(add, (name,)).fetchone()[0]
        rows = [(self.run, ids[name], step, value, now) for name, value in metrics.items()]
        self.connection.executemany("INSERT OR IGNORE INTO points VALUES (?,?,?,?,?)", rows)
        if self.given.what != "series" or step % 1_000 == 999:
            self.connection.commit()

    def finish(self) -> None:
        self.connection.commit()
        self.connection.close()

    def read(self, run: str) -> int:
        with sqlite3.connect(Path(self.given.dir, "points.db")) as connection:
            found = connection.execute(
                "SELECT step, value FROM points WHERE run = ? ORDER BY step", (run,)
            ).fetchall()
        return len(found)


if __name__ == "__main__":
    main(Sqlite)
