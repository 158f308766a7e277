"""Makes the runs of the zoo: trains each, scores its checkpoints problem by problem, writes its files."""

import datetime
import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.zoo import storage
from benchmarks.zoo.storage import SPLITS, ZOO, Bits
from benchmarks.zoo.variants import RUNS, ZooRun
from monitor.store.packed.columns import Block, unpacked


@dataclass
class Made:
    """What a run gave: logged values by step, and the scores by problem of each checkpoint."""

    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    problems: dict[str, dict[int, Bits]] = field(default_factory=lambda: {s: {} for s in SPLITS})

    def scored(self, step: int, split: str, bits: Bits) -> None:
        """Add the scores (problems, samples) of a checkpoint."""
        self.problems[split][step] = bits
        self.history.setdefault(step, {})[split] = float(bits.mean())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The values by step, in order."""
        return [{"step": step, **self.history[step]} for step in sorted(self.history)]


def make(names: list[str], until: str | None, folder: Path) -> None:
    """Make the missing runs, of the named ones or of all."""
    unknown = set(names) - {run.name for run in RUNS}
    if unknown:
        sys.exit(
            f"there is no run {min(unknown)!r} in the zoo; `python -m benchmarks.zoo.zoo list` names all"
        )
    os.environ.setdefault("CUSP_DIR", str(folder))
    ZOO.mkdir(exist_ok=True)
    for run in RUNS:
        file = ZOO / f"{run.name}.csv.gz"
        if file.exists() or (names and run.name not in names):
            continue
        if until and f"{datetime.datetime.now():%H:%M}" >= until:
            print(f"it is {until}: stopping before {run.name}", flush=True)
            return
        started = time.time()
        found = made(run, folder / "runs" / run.name)
        storage.write(file, found.rows, found.problems)
        index(run, time.time() - started)
        lost = [row["report"] for row in found.rows if "report" in row]
        print(
            f"{run.name}: {time.time() - started:.0f} s, held out first {lost[0]:.3f}, best"
            f" {max(lost):.3f}, last {lost[-1]:.3f}",
            flush=True,
        )


def made(run: ZooRun, root: Path) -> Made:
    """Train one run, score its checkpoints and return what it gave."""
    from transformers import TrainerCallback

    from trainer.recipe_loader import load_recipe
    from trainer.train import train

    found = Made()

    class Keep(TrainerCallback):  # type: ignore[misc]
        """Keeps the log in memory under canonical names."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "train_runtime" not in logs:
                found.history.setdefault(state.global_step, {}).update(storage.logged(logs))

    recipe = load_recipe(run.recipe, run.overrides)
    shutil.rmtree(root, ignore_errors=True)
    try:
        train(recipe, root, progress=lambda _: None, callbacks=[Keep()])
        for step, split, bits in evaluated(recipe, root):
            found.scored(step, split, bits)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        gc.collect()
    return found


def evaluated(recipe: Any, root: Path) -> Iterator[tuple[int, str, Bits]]:
    """Yield (step, set, scores by problem) of the base model and of every checkpoint."""
    from cusp import settings
    from trainer.evaluation.engines.transformers_engine import drawing, with_adapter
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.tasks import tasks_of
    from trainer.training.model import load_base
    from trainer.verifiers import make_verifier

    cache = settings.from_environment().directory / "cache"
    base, tokenizer = load_base(recipe, cache, lambda _: None)
    verifier = make_verifier("boxed_integer")
    sets = tasks_of(recipe)
    saved = sorted((int(p.name.split("-")[1]), p) for p in root.glob("checkpoint-*"))
    for step, path in [(0, None), *saved]:
        model = base if path is None else with_adapter(base, path)
        for task in (sets.selection, *sets.report):
            found = evaluate(drawing(model, tokenizer), tokenizer, task, verifier, seed=0)
            yield step, task.split, found.scores == 1


def collect(database: Path) -> None:
    """Take the zoo's runs that a monitor has, with all their checkpoints scored."""
    from trainer.recipe_loader import load_recipe

    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    known = {_content(load_recipe(r.recipe, r.overrides).model_dump(mode="json")): r for r in RUNS}
    finished = "SELECT id, config FROM runs WHERE status = 'finished' ORDER BY created_at"
    for run_id, config in db.execute(finished).fetchall():
        run = known.get(_content(json.loads(config)))
        if run is None or (ZOO / f"{run.name}.csv.gz").exists():
            continue
        found = _stored(db, run_id, load_recipe(run.recipe, run.overrides))
        if found is None:
            continue  # stopped, or not every checkpoint was scored
        ZOO.mkdir(exist_ok=True)
        storage.write(ZOO / f"{run.name}.csv.gz", found.rows, found.problems)
        index(run, None)
        print(f"{run.name}: collected from run {run_id}")


def _content(recipe: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in recipe.items() if k != "run"}, sort_keys=True)


def _stored(db: sqlite3.Connection, run_id: str, recipe: Any) -> Made | None:
    """Return a run that a monitor has, None if it ended early or a checkpoint is not scored."""
    from trainer.evaluation.tasks import tasks_of

    found = Made()
    of_run = "JOIN series ON series.id = series_id WHERE run_id = ?"
    rows = db.execute(f"SELECT step, name, value FROM points {of_run}", (run_id,)).fetchall()
    blocks = f"SELECT name, first, stride, size, packed FROM blocks {of_run}"
    for name, *block in db.execute(blocks, (run_id,)):
        rows += [(int(s), name, float(v)) for s, v in zip(*unpacked(Block(*block)), strict=True)]
    for step, name, value in rows:
        found.history.setdefault(step, {}).update(storage.logged({name: value}))
    scores = (
        "SELECT step, problem_id, sample, score FROM evaluation_rows JOIN evaluations"
        " ON evaluations.id = evaluation_id WHERE run_id = ? AND split = ?"
    )
    sets = tasks_of(recipe)
    for task in (sets.selection, *sets.report):
        place = {each.id: number for number, each in enumerate(task.problems)}
        shape = (len(place), task.sampling.samples_per_problem)
        bits: dict[int, Bits] = {}
        for step, problem, sample, score in db.execute(scores, (run_id, task.split)):
            bits.setdefault(step, np.zeros(shape, dtype=bool))[place[problem], sample] = score == 1
        for step, each in bits.items():
            found.scored(step, task.split, each)
    every, last = recipe.grpo.save_steps, recipe.grpo.max_steps
    wanted = {*range(0, last, every), last}
    complete = all(wanted <= found.problems[split].keys() for split in SPLITS)
    return found if complete else None


def index(run: ZooRun, seconds: float | None) -> None:
    """Append what made a run to the index; `seconds` is None if another process made it."""
    from trainer.recipe_loader import load_recipe
    from trainer.tiny.base import cache_key

    commit = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(commit, cwd=storage.HERE, capture_output=True, text=True, check=False)
    model = load_recipe(run.recipe, run.overrides).model
    storage.index(
        ZOO,
        {
            "run": run.name,
            "command": run.command,
            "seconds": None if seconds is None else round(seconds),
            "date": datetime.date.today().isoformat(),
            "base": cache_key(model) if model.kind == "tiny" else "",
            "commit": None if seconds is None else found.stdout.strip(),
            "trl": version("trl"),
            "torch": version("torch"),
        },
    )
