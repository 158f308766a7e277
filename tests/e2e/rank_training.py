"""What each rank of the two-process test runs: the trainer, and a note of where this rank ended.

python -m torch.distributed.run --nproc-per-node=2 -m tests.e2e.rank_training RUN_ID key=value ...
"""

import os
import sys
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.recipe_loader import load_recipe
from trainer.train import train
from trainer.training.distributed import exit_process


class NoteTheEnd(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Writes the last step of this rank to `rank-N` in the run's folder."""

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        note = Path(args.output_dir) / f"rank-{os.environ['RANK']}"
        note.write_text(str(state.global_step))


if __name__ == "__main__":
    run_id, *overrides = sys.argv[1:]
    root = Path(os.environ["CUSP_DIR"]) / "runs" / run_id
    train(load_recipe("tiny", overrides), root, run_id=run_id, callbacks=[NoteTheEnd()])
    sys.exit(exit_process(0))
