"""Cusp: the client with its spool, `cusp serve` on SQLite; acknowledged means committed."""

import json
import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cusp
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main


class Hooks:
    """`CuspCallback` called as transformers' Trainer calls it at each step: `on_step_end`, `on_log`."""

    def __init__(self, callback: "cusp.CuspCallback", folder: str) -> None:
        from transformers import TrainerControl, TrainerState, TrainingArguments

        self.callback = callback
        self.given = TrainingArguments(output_dir=f"{folder}/out", report_to=[], use_cpu=True)
        self.state, self.control = TrainerState(), TrainerControl()
        self.state.is_world_process_zero = True
        callback.on_train_begin(self.given, self.state, self.control)

    def step(self, step: int, metrics: dict[str, float]) -> None:
        self.state.global_step = step
        self.callback.on_step_end(self.given, self.state, self.control)
        self.callback.on_log(self.given, self.state, self.control, logs=metrics)


class Cusp(Client):
    """`cusp.init`, `run.log`, `run.finish`, or by way of the callback; read over REST."""

    def start(self, run: str) -> None:
        os.environ.update(CUSP_URL=self.given.url, CUSP_DIR=self.given.dir)
        import cusp

        self.hooks: Hooks | None = None
        if self.given.how == "callback":
            callback = cusp.CuspCallback(project="bench", name=run)
            self.hooks = Hooks(callback, self.given.dir)
            assert callback.run  # begun by Hooks
            self.run = callback.run
        else:
            self.run = cusp.init(project="bench", name=run)
        Path(self.given.dir, f"{run}.id").write_text(self.run.id)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        if self.hooks is None:
            self.run.log(metrics, step=step)
        else:
            self.hooks.step(step, metrics)

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
