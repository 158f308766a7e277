"""What each rank of a verified training runs: the trainer, which is asked to verify at certain steps.

python -m [torch.distributed.run ... -m] tests.e2e.verified_training RUN_ID AT key=value ...

AT is JSON: {"8": [4]} asks before step 8 ends for the checkpoint of step 4. With FAIL=rank:N the scoring fails on
that rank; with FAIL=hang it hangs after the first round. STAGES are those of the verification.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cusp
from tests.asking import AskToVerify
from trainer import train as program
from trainer.evaluation import selection_set
from trainer.recipe_loader import load_recipe
from trainer.training.distributed import exit_process


def fail(how: str) -> None:
    """Break the scoring as asked."""
    scores = selection_set.SelectionSet.scores
    calls: list[int] = []

    def broken(self: Any, checkpoint: Path | None, places: range) -> Any:
        calls.append(len(places))
        if how == f"rank:{os.environ.get('RANK', '0')}" and len(calls) > 1:
            raise RuntimeError("this device has left")
        if how == "hang" and len(calls) > 1:
            (Path(os.environ["CUSP_DIR"]) / "hangs").touch()
            time.sleep(600)
        return scores(self, checkpoint, places)

    setattr(selection_set.SelectionSet, "scores", broken)  # noqa: B010


def main() -> None:
    """Train, and print where it ended."""
    run_id, at, *overrides = sys.argv[1:]
    resume = "--resume" in overrides
    runs: list[cusp.Run] = []
    asked = {int(step): of for step, of in json.loads(at).items()}
    stages = json.loads(os.environ.get("STAGES", "[8]"))
    url = os.environ["CUSP_URL"]
    asking = AskToVerify(url, lambda: runs[0] if runs else None, asked, stages)
    announce = program.announce

    def announced(*args: Any, **kwargs: Any) -> cusp.Run:
        runs.append(announce(*args, **kwargs))
        return runs[0]

    setattr(program, "announce", announced)  # noqa: B010
    fail(os.environ.get("FAIL", ""))
    root = Path(os.environ["CUSP_DIR"]) / "runs" / run_id
    recipe = load_recipe("tiny", [one for one in overrides if one != "--resume"])
    program.train(recipe, root, run_id=run_id, resume=resume, callbacks=[asking])


if __name__ == "__main__":
    main()
    sys.exit(exit_process(0))
