"""aim: its repository (RocksDB) written by the training process, read by its SDK after `reindex`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main


class Aim(Client):
    """`run.track` of a dict, `run.close`."""

    def start(self, run: str) -> None:
        import aim

        here = Path(self.given.dir)
        repo = aim.Repo(str(here), init=not (here / ".aim").exists())
        self.run = aim.Run(
            repo=repo,
            experiment=run,
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        (here / f"{run}.id").write_text(self.run.hash)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.track(metrics, step=step)

    def finish(self) -> None:
        self.run.close()
        if self.given.what == "series":  # a closed run cannot be read until it is indexed
            command = [os.path.join(os.path.dirname(sys.executable), "aim"), "storage"]
            command += ["--repo", self.given.dir, "reindex"]
            quiet = subprocess.DEVNULL
            subprocess.run(command, input=b"y\n", check=True, stdout=quiet, stderr=quiet)

    def read(self, run: str) -> int:
        import aim
        from aim.storage.context import Context

        repo = aim.Repo(self.given.dir)
        run_hash = Path(self.given.dir, f"{run}.id").read_text()
        _, values = repo.get_run(run_hash).get_metric("x", Context({})).values.sparse_numpy()
        return len(values)


if __name__ == "__main__":
    main(Aim)
