"""trackio -> its own server (`trackio.show`) on SQLite, or `--url` left out: files of this process."""

import glob
import json
import os
import sqlite3
import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main


class Trackio(Client):
    """`trackio.init`, `trackio.log`, `trackio.finish`; read over the server's API."""

    def start(self, run: str) -> None:
        os.environ.update(TRACKIO_DIR=f"{self.given.dir}/client")
        import trackio

        self.trackio, self.project = trackio, run
        there = {"server_url": f"{self.given.url}?write_token=x"}
        trackio.init(
            project=run, name="r", auto_log_gpu=False, auto_log_cpu=False, embed=False, **there
        )
        time.sleep(1.0)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.trackio.log(metrics, step=step)

    def finish(self) -> None:
        self.trackio.finish()
        until = time.monotonic() + 300
        while self._stored() < self.given.steps:
            if time.monotonic() > until:
                raise SystemExit("trackio's server does not hold everything after 300 s")
            time.sleep(0.01)

    def _stored(self) -> int:
        found = 0
        for path in glob.glob(f"{self.given.dir}/server/{self.project}*.db"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                found += connection.execute("SELECT count(*) FROM metrics").fetchone()[0]
        return found

    def read(self, run: str) -> int:
        body = json.dumps({"project": run, "run": "r", "metric_name": "x"}).encode()
        head = {"Content-Type": "application/json", "X-Trackio-Write-Token": "x"}
        request = urllib.request.Request(
            f"{self.given.url}/api/get_metric_values", data=body, headers=head
        )
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        found = found["data"] if isinstance(found, dict) else found
        return len(found[0] if found and isinstance(found[0], list) else found)


if __name__ == "__main__":
    main(Trackio)
