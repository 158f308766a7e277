"""A process that claims jobs until none is left and prints their ids; the tests start several."""

import sys

from monitor.database.engine import Database
from monitor.store import jobs


def claimed(url: str, worker: str) -> list[str]:
    """Return the ids of the jobs this process got."""
    database = Database(url)
    found: list[str] = []
    while True:
        with database.write() as tx:
            row = jobs.claim(tx, worker, ["evaluate"], now=1.0)
        if row is None:
            database.close()
            return found
        found.append(row.id)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()  # all begin at once
    print("\n".join(claimed(sys.argv[1], sys.argv[2])))
