"""A person's script: a plain TRL training in one process or several, watched by one line, then used.

CUSP_URL=... python -m tests.e2e.watched_script FOLDER [how] [key=value ...]

`how` says how Cusp is attached: watch (default), twice, callback, both, report_to, evaluate (with a function that
scores checkpoints), rank0 or rank1 (a callback on that one alone).
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cusp
from tests.e2e.plain_trl import Bench


def soft_format_reward_func(completions: list[Any], **columns: Any) -> list[float]:
    """A made-up format reward under a name that GRPO tutorials use."""
    return [0.5 * ("<" in str(one)) for one in completions]


def correctness_reward_func(completions: list[Any], **columns: Any) -> list[float]:
    """A made-up accuracy reward under a name that GRPO tutorials use."""
    return [2.0 * (len(str(one)) % 3 == 0) for one in completions]


def house_style(completions: list[Any], **columns: Any) -> list[float]:
    """A reward whose name says nothing."""
    return [len(str(one)) / 100.0 for one in completions]


def solved(path: Path) -> list[float]:
    """Made-up scores of 40 problems: none with the checkpoint just saved, all with an earlier, pinned one."""
    print(f"scores {path.name}", flush=True)
    time.sleep(0.5)
    return [float("pinned" in path.parts)] * 40


def main(folder: str, how: str = "watch", *chosen: str) -> None:
    """Train, and print one JSON document of what the script sees afterwards."""
    arguments: dict[str, Any] = {"max_steps": 400, "save_steps": 5}
    arguments |= {key: json.loads(value) for key, value in (one.split("=", 1) for one in chosen)}
    if how == "report_to":
        arguments["report_to"] = ["cusp"]
    rank = os.environ.get("RANK", "0")
    first = rank == "0"
    trainer = Bench(Path(folder) / "cache").trainer(
        Path(folder) / "out",
        rewards=[soft_format_reward_func, correctness_reward_func, house_style],
        callbacks=[cusp.CuspCallback(policy="watch")] if how in ("callback", "both") else [],
        reward_weights=[1.0, 2.0, 0.0],
        **arguments,
    )
    watched = None
    if how in ("rank0", "rank1"):
        if how == f"rank{rank}":
            trainer.add_callback(cusp.CuspCallback())
    elif how == "evaluate":
        watched = cusp.watch(trainer, name="a script", evaluate=solved)
    elif how in ("watch", "twice", "both"):
        watched = cusp.watch(trainer, policy="propose", name="a script", tags=["told"])
        if how == "twice":
            watched = cusp.watch(trainer, roles={"accuracy": "house_style"})
    trainer.train()

    kept = watched.kept if watched else None
    seen = {"step": trainer.state.global_step, "attached": _attached(trainer)}
    if kept is not None:
        seen["kept"] = {"step": kept.step, "path": str(kept.path)}
        seen["files"] = sorted(file.name for file in kept.path.iterdir())
    if watched is not None and first:
        seen["url"] = watched.url
    if first:
        print(json.dumps(seen), flush=True)
    (Path(folder) / f"ended-{rank}").write_text(str(seen["step"]))


def _attached(trainer: Any) -> int:
    found = trainer.callback_handler.callbacks
    return sum(isinstance(one, cusp.CuspCallback) for one in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
    if os.environ.get("WORLD_SIZE", "1") != "1":
        from trainer.training.distributed import exit_process

        exit_process(0)
