"""The zoo: real tiny GRPO-LoRA runs, with and without a transition, every checkpoint scored.

    python -m benchmarks.zoo.zoo list                  # all runs of the zoo and what makes each
    python -m benchmarks.zoo.zoo make [NAME...] [--until HH:MM] [--dir FOLDER]
    python -m benchmarks.zoo.zoo collect DATABASE      # runs of the zoo that `cusp demo --no-stop` made
    python -m benchmarks.zoo.zoo score [--json FILE] [--preset NAME] [--all]

`make` trains what is missing, one run after another in one process (about two minutes each on one
core), and writes benchmarks/zoo/runs/NAME.csv.gz: the log (a row a step; `cusp replay` reads it) with two
columns more, `selection` and `report`: held-out pass@1 of the checkpoint of that step on two disjoint
sets. Row 0 is the base model. runs/INDEX.csv holds the command, time and versions of each. Runs that
are there are not made again, so it can be interrupted at any time. `collect` takes finished runs whose
recipe is exactly that of a run of the zoo (but for how it is called and watched) and whose checkpoints
were all scored, from the SQLite file of a monitor: training and scoring are the same code and seeds.

`score` replays every run that is there. regret = best held-out pass@1 (report set) of all checkpoints
of the whole run minus that of the one kept: `signals` keeps the last one at or before the safe step,
`evaluation` the best on the selection set of those saved up to the stop, `last` the last one.
`lost` runs lose >= .10 held-out from their best to their last checkpoint, `healthy` ones < .05; the
label comes from the whole run and is used for counting only.
"""

import argparse
import csv
import datetime
import gc
import gzip
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.detector import scoring

HERE = Path(__file__).parent
ZOO = HERE / "runs"
LOGGED = (
    "format_reward", "accuracy_reward", "completion_length", "clipped_ratio", "entropy", "kl",
    "reward", "reward_std", "rewards/cosine_reward", "grad_norm", "learning_rate",
)  # fmt: skip
SCORES = ("selection", "report")


@dataclass(frozen=True)
class ZooRun:
    """One run: a shipped recipe and what is changed in it."""

    name: str
    recipe: str
    overrides: tuple[str, ...]


# What is varied, each against the recipe as it is: name, recipe, overrides.
VARIANTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tiny", "tiny", ()),
    ("healthy", "tiny_healthy", ()),
    ("hard40", "tiny", ("data.hard_share=0.4",)),
    ("plain_hard60", "tiny_healthy", ("data.hard_share=0.6",)),
    ("lr1e-3", "tiny", ("grpo.learning_rate=1e-3",)),
    ("healthy_lr1e-3", "tiny_healthy", ("grpo.learning_rate=1e-3",)),
    ("rank4", "tiny", ("lora.r=4", "lora.lora_alpha=16")),
    ("dr_grpo", "tiny", ("grpo.loss_type=dr_grpo", "grpo.scale_rewards=none")),
    ("healthy_dapo", "tiny_healthy", ("grpo.loss_type=dapo",)),
    ("kl", "tiny", ("grpo.beta=0.04",)),
    ("hard90", "tiny", ("data.hard_share=0.9",)),
    ("healthy_rank4", "tiny_healthy", ("lora.r=4", "lora.lora_alpha=16")),
    ("soft_cosine", "tiny", ("rewards.cosine.wrong_short=-0.5", "rewards.cosine.wrong_long=0.0")),
    ("tina_cosine", "tiny", ("rewards.cosine.wrong_short=0.0", "rewards.cosine.wrong_long=-0.5")),
    ("lr1e-4", "tiny", ("grpo.learning_rate=1e-4",)),
    ("healthy_long", "tiny_healthy", ("grpo.max_steps=400",)),
    ("bnpo", "tiny", ("grpo.loss_type=bnpo",)),
    ("plain_hard90", "tiny_healthy", ("data.hard_share=0.9",)),
    ("rank64", "tiny", ("lora.r=64", "lora.lora_alpha=256")),
    ("healthy_lr1e-4", "tiny_healthy", ("grpo.learning_rate=1e-4",)),
    ("easy", "tiny", ("data.hard_share=0.0",)),
    ("other_base", "tiny", ("model.seed=1",)),
    ("healthy_other_base", "tiny_healthy", ("model.seed=1",)),
    ("small_batch", "tiny", ("grpo.per_device_train_batch_size=24",)),
    ("format_only", "tiny_healthy", ("rewards.accuracy.weight=0.0",)),
)
SEEDS, MORE_SEEDS = range(5), range(5, 10)  # the two shipped recipes get more
RUNS = tuple(  # every variant once before any a second time: what is made first is diverse
    ZooRun(f"{name}_s{seed}", recipe, (*overrides, f"seed={seed}"))
    for seed in (*SEEDS, *MORE_SEEDS)
    for name, recipe, overrides in (VARIANTS if seed in SEEDS else VARIANTS[:2])
)


def command(run: ZooRun) -> str:
    """Return what a person types to train this run alone, streamed to a monitor."""
    return f"cusp train {run.recipe} {' '.join(run.overrides)}"


# ---------------------------------------------------------------------------------------- make


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
        rows = made(run, folder / "runs" / run.name)
        write(file, rows)
        index(run, time.time() - started)
        lost = [row["report"] for row in rows if row.get("report") is not None]
        print(
            f"{run.name}: {time.time() - started:.0f} s, held out first {lost[0]:.3f}, best"
            f" {max(lost):.3f}, last {lost[-1]:.3f}",
            flush=True,
        )


def made(run: ZooRun, root: Path) -> list[dict[str, Any]]:
    """Train one run, score its checkpoints and return its rows."""
    from transformers import TrainerCallback

    from cusp.metrics import canonical
    from trainer.recipe_loader import load_recipe
    from trainer.train import train

    history: dict[int, dict[str, Any]] = {}

    class Keep(TrainerCallback):  # type: ignore[misc]
        """Keeps the log in memory under canonical names."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "train_runtime" not in logs:
                history.setdefault(state.global_step, {}).update(canonical(logs))

    recipe = load_recipe(run.recipe, run.overrides)
    shutil.rmtree(root, ignore_errors=True)
    try:
        train(recipe, root, progress=lambda _: None, callbacks=[Keep()])
        for step, scores in evaluated(recipe, root):
            history.setdefault(step, {}).update(scores)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        gc.collect()
    return [{"step": step, **history[step]} for step in sorted(history)]


def evaluated(recipe: Any, root: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, pass@1 on both sets) of the base model and of every checkpoint."""
    from cusp import settings
    from trainer.evaluation.evaluate import evaluate
    from trainer.evaluation.generate_transformers import with_adapter
    from trainer.evaluation.tasks import tasks_of
    from trainer.training.model import load_base
    from trainer.verifiers import make_verifier

    base, tokenizer = load_base(recipe, settings.from_environment().directory / "cache")
    verifier = make_verifier("boxed_integer")
    saved = sorted((int(p.name.split("-")[1]), p) for p in root.glob("checkpoint-*"))
    for step, path in [(0, None), *saved]:
        model = base if path is None else with_adapter(base, path)
        yield (
            step,
            {
                task.split: evaluate(model, tokenizer, task, verifier, seed=0).pass_at_1
                for task in tasks_of(recipe)
            },
        )


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write a run's rows, six digits each; complete or not at all."""
    columns = [c for c in (*LOGGED, *SCORES) if any(row.get(c) is not None for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *columns])
    for row in rows:
        cells = (row.get(column) for column in columns)
        writer.writerow([row["step"], *("" if v is None else f"{float(v):.6g}" for v in cells)])
    part = file.with_suffix(".part")
    part.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    part.replace(file)


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
        rows = _stored(db, run_id)
        last, every = rows[-1]["step"], json.loads(config)["grpo"]["save_steps"]
        if last < json.loads(config)["grpo"]["max_steps"] or any(
            name not in row for row in rows for name in SCORES if row["step"] % every == 0
        ):
            continue  # stopped, or not every checkpoint was scored
        ZOO.mkdir(exist_ok=True)
        write(ZOO / f"{run.name}.csv.gz", rows)
        index(run, None)
        print(f"{run.name}: collected from run {run_id}")


def _content(recipe: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in recipe.items() if k != "run"}, sort_keys=True)


def _stored(db: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    points = (
        "SELECT step, name, value FROM points JOIN series ON series.id = series_id WHERE run_id = ?"
    )
    for step, name, value in db.execute(points, (run_id,)):
        rows.setdefault(step, {"step": step})[name] = value
    scored = "SELECT step, split, scores FROM evaluations WHERE run_id = ?"
    for step, split, scores in db.execute(scored, (run_id,)):
        rows.setdefault(step, {"step": step})[split] = json.loads(scores)["pass_at_1"]
    return [rows[step] for step in sorted(rows)]


def index(run: ZooRun, seconds: float | None) -> None:
    """Append what made a run to INDEX.csv; `seconds` is None if another process made it."""
    file, commit = ZOO / "INDEX.csv", ["git", "rev-parse", "--short", "HEAD"]
    new = not file.exists()
    found = subprocess.run(commit, cwd=HERE, capture_output=True, text=True, check=False)
    with file.open("a", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        if new:
            writer.writerow(["run", "command", "seconds", "date", "commit", "trl", "torch"])
        today = datetime.date.today().isoformat()
        versions = [version("trl"), version("torch")]
        made_at = "" if seconds is None else found.stdout.strip()
        writer.writerow(
            [
                run.name,
                command(run),
                "" if seconds is None else round(seconds),
                today,
                made_at,
                *versions,
            ]
        )


# --------------------------------------------------------------------------------------- score


def load() -> list[scoring.Case]:
    """Return the runs that are there, as cases for the shared scoring."""
    cases = []
    for run in RUNS:
        file = ZOO / f"{run.name}.csv.gz"
        if file.exists():
            cases.append(read(file))
    return cases


def read(file: Path) -> scoring.Case:
    """Return one run of the zoo."""
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode())))
    points = [
        (int(row["step"]), {n: float(row[n]) for n in LOGGED if row.get(n)})
        for row in rows
        if row.get("format_reward")
    ]
    selection, report = (
        {int(row["step"]): float(row[name]) for row in rows if row.get(name)} for name in SCORES
    )
    lost = max(report.values()) - report[max(report)]
    label = "lost" if lost >= 0.10 else "healthy" if lost < 0.05 else "between"
    batch = 24 if file.name.startswith("small_batch") else 48
    return scoring.Case(
        file.name.removesuffix(".csv.gz"), points, label, completions=batch, completion_limit=64,
        selection=selection, report=report,
    )  # fmt: skip


def score(preset: str, json_file: Path | None, every: bool) -> None:
    """Print how the detector does over what is there."""
    cases = load()
    if not cases:
        sys.exit("the zoo is empty: run `python -m benchmarks.zoo.zoo make` first")
    outcomes = [scoring.cusp(case, preset) for case in cases]
    print(f"{len(cases)} of {len(RUNS)} runs of the zoo are there.\n")
    if every:
        print(scoring.run_table(cases, outcomes))
    print(scoring.regret_table([("Cusp, preset " + preset, outcomes)], cases))
    for case, outcome in zip(cases, outcomes, strict=True):
        if case.kind == "healthy" and outcome.stop is not None:
            kept = scoring.regret(case, outcome)
            print(f"false stop: {case.name} at {outcome.stop}, cost {kept.signals:.3f} pass@1")
    if json_file:
        json_file.write_text(scoring.as_json(cases, {"cusp": outcomes}))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("list", "make", "collect", "score"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--until", help="start no further run at or after this time of the day")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "cusp-zoo")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--all", action="store_true", help="one line for every run")
    parser.add_argument("--quick", action="store_true", help="accepted as by the other benchmarks")
    given = parser.parse_args()
    if given.what == "make":
        make(given.names, given.until, given.dir)
    elif given.what == "collect":
        for database in given.names:
            collect(Path(database))
    elif given.what == "score":
        score(given.preset, given.json, given.all)
    else:
        print("\n".join(f"{run.name:24} {command(run)}" for run in RUNS))


if __name__ == "__main__":
    main()
