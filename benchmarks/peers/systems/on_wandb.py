"""wandb offline: its transaction log on disk; nothing reads it back without a server."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main

QUIET = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_X_DISABLE_STATS": "true",
    "WANDB_X_DISABLE_META": "true",
}


class Wandb(Client):
    """`wandb.init`, `run.log`, `run.finish`."""

    def start(self, run: str) -> None:
        here = self.given.dir
        os.environ.update(QUIET, WANDB_DIR=here, WANDB_CACHE_DIR=f"{here}/c", WANDB_CONFIG_DIR=here)
        import wandb

        self.run = wandb.init(project="bench", name=run, dir=here)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.log(metrics, step=step)

    def finish(self) -> None:
        self.run.finish()


if __name__ == "__main__":
    main(Wandb)
