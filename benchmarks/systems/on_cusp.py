"""Cusp: the client with its spool, `cusp serve` on SQLite; acknowledged means committed."""

import json
import os
import urllib.request
from pathlib import Path

from workload import Client, main


class Cusp(Client):
    """`cusp.init`, `run.log`, `run.finish`; read over REST."""

    def start(self, run: str) -> None:
        os.environ.update(CUSP_URL=self.given.url, CUSP_DIR=self.given.dir)
        import cusp

        self.run = cusp.init(project="bench", name=run)
        Path(self.given.dir, f"{run}.id").write_text(self.run.id)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.log(metrics, step=step)

    def finish(self) -> None:
        if not self.run.finish(drain_s=300.0):
            raise SystemExit("the monitor does not hold everything")

    def read(self, run: str) -> int:
        run_id = Path(self.given.dir, f"{run}.id").read_text()
        url = f"{self.given.url}/api/v1/runs/{run_id}/series?names=x"
        with urllib.request.urlopen(url) as answer:
            return len(json.load(answer)["series"][0]["values"])


if __name__ == "__main__":
    main(Cusp)
