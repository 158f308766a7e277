"""TensorBoard: its own summary writer, read back by its EventAccumulator."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import Client, main
else:  # run as a script: this package is not on its path
    from workload import Client, main


class TensorBoard(Client):
    """`Writer.add_scalar` for each value."""

    def start(self, run: str) -> None:
        from tensorboard.summary import Writer

        self.writer = Writer(f"{self.given.dir}/{run}")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self.writer.close()

    def read(self, run: str) -> int:
        from tensorboard.backend.event_processing import event_accumulator

        found = event_accumulator.EventAccumulator(
            f"{self.given.dir}/{run}", size_guidance={"tensors": 0, "scalars": 0}
        )
        found.Reload()
        return len(found.Tensors("x") if "x" in found.Tags()["tensors"] else found.Scalars("x"))


if __name__ == "__main__":
    main(TensorBoard)
