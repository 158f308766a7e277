"""mlflow -> `mlflow server` on SQLite: `log_metrics` of a step, synchronous as by default, or not."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main


class Mlflow(Client):
    """`mlflow.log_metrics`; a long series by `log_batch` of 1,000; read by `get_metric_history`."""

    def start(self, run: str) -> None:
        os.environ.update(MLFLOW_TRACKING_URI=self.given.url, MLFLOW_DISABLE_TELEMETRY="true")
        import mlflow

        self.mlflow = mlflow
        mlflow.set_experiment("bench")
        self.id = mlflow.start_run(run_name=run).info.run_id
        Path(self.given.dir, f"{run}.id").write_text(self.id)
        self.waiting: list[object] = []

    def log(self, step: int, metrics: dict[str, float]) -> None:
        if self.given.what != "series":
            self.mlflow.log_metrics(metrics, step=step, synchronous=self.given.how != "async")
            return
        now = int(time.time() * 1000)
        self.waiting.append(self.mlflow.entities.Metric("x", metrics["x"], now, step))
        if len(self.waiting) == 1_000:
            self._flush()

    def finish(self) -> None:
        if self.waiting:
            self._flush()
        if self.given.how == "async":
            self.mlflow.flush_async_logging()
        self.mlflow.end_run()

    def _flush(self) -> None:
        client = self.mlflow.MlflowClient()
        client.log_batch(self.id, metrics=self.waiting, synchronous=True)
        self.waiting = []

    def read(self, run: str) -> int:
        os.environ.update(MLFLOW_TRACKING_URI=self.given.url, MLFLOW_DISABLE_TELEMETRY="true")
        import mlflow

        run_id = Path(self.given.dir, f"{run}.id").read_text()
        return len(mlflow.MlflowClient().get_metric_history(run_id, "x"))


if __name__ == "__main__":
    main(Mlflow)
