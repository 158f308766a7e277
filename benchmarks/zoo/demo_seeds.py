"""Was stopping right? The demo on several seeds, stopped and to the end, every checkpoint scored.

python -m benchmarks.zoo.demo_seeds [--seeds 10] [--first 0] [--healthy] [--quick] [--json FILE] [--dir FOLDER]

For each seed two real runs of `cusp demo`: one as it is, one with `--no-stop`, which trains to the end
and scores all checkpoints on the same held-out problems. All pass@1 are from the report set of the
`--no-stop` run; its best checkpoint is the one with the highest pass@1 on the selection set.
`--healthy` runs the control, where a stop is a false one. `--quick`: two seeds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]
COLUMNS = (
    "seed", "transition", "seen = stop", "of", "kept step", "pass@1 kept", "chosen by evaluation",
    "pass@1 chosen", "last", "pass@1 last", "best of all", "pass@1 best", "saved",
)  # fmt: skip


def demo(folder: Path, *arguments: str) -> Json:
    """Return the summary of one `cusp demo`; its output goes to a log beside it."""
    out = folder / f"{'_'.join(arguments).replace('--', '')}.json"
    command = [sys.executable, "-m", "cusp", "demo", "--exit", "--json", str(out), *arguments]
    with out.with_suffix(".log").open("w") as log:
        status = subprocess.run(
            [*command, "--dir", str(folder / "data")], stdout=log, stderr=log, check=False
        )
    if status.returncode:
        sys.exit(f"the demo failed, see {out.with_suffix('.log')}")
    found: Json = json.loads(out.read_text())
    return found


def row(seed: int, stopped: Json, whole: Json) -> Json:
    """Return one line of the table."""
    scores = {one["step"]: one for one in whole["candidates"]}
    last = max(scores)
    comparison = whole["comparison"] or {}
    best = (comparison.get("best") or {"step": last})["step"]
    kept, chosen = stopped["kept_checkpoint_step"], stopped["best_checkpoint_step"]
    return {
        "seed": seed,
        "transition": stopped["transition"],
        "stopped_at_step": stopped["stopped_at_step"],
        "max_steps": stopped["max_steps"],
        "kept": kept,
        "chosen": chosen,
        "last": last,
        "best": best,
        "scores": {step: scores[step]["pass_at_1"] for step in scores},
        "saved_fraction": stopped["saved_fraction"],
        "seconds": stopped["seconds"]["total"],
    }


def cells(line: Json) -> list[str]:
    """Return the line as texts."""

    def score(step: int | None) -> str:
        return "–" if step is None or step not in line["scores"] else f"{line['scores'][step]:.3f}"

    def text(value: object) -> str:
        return "–" if value is None else str(value)

    found = line["transition"]
    return [
        str(line["seed"]),
        f"{found['step']} [{found['low']}-{found['high']}]" if found else "none found",
        text(line["stopped_at_step"]),
        str(line["max_steps"]),
        text(line["kept"]),
        score(line["kept"]),
        text(line["chosen"]),
        score(line["chosen"]),
        str(line["last"]),
        score(line["last"]),
        str(line["best"]),
        score(line["best"]),
        f"{100 * line['saved_fraction']:.0f} %",
    ]


def means(lines: list[Json]) -> str:
    """Return the means over all seeds; a run that was not stopped keeps its last checkpoint."""

    def mean(name: str, instead: str) -> float:
        steps = [line[name] if line[name] is not None else line[instead] for line in lines]
        return sum(line["scores"][step] for line, step in zip(lines, steps, strict=True)) / len(
            lines
        )

    kept, chosen = mean("kept", "last"), mean("chosen", "last")
    last, best = mean("last", "last"), mean("best", "best")
    saved = sum(line["saved_fraction"] for line in lines) / len(lines)
    stopped = sum(line["stopped_at_step"] is not None for line in lines)
    return (
        f"{stopped} of {len(lines)} stopped. Mean pass@1: kept by the signals {kept:.3f}, chosen by the"
        f" evaluation {chosen:.3f}, last {last:.3f}, best of all {best:.3f}. Regret: {best - kept:.3f},"
        f" {best - chosen:.3f}, {best - last:.3f}. Steps saved: {100 * saved:.0f} %."
    )


def main() -> None:
    """Run the seeds, print the table as Markdown after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "cusp-demo-seeds")
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    control = ["--healthy"] if given.healthy else []
    lines = []
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    for seed in range(given.first, given.first + (2 if given.quick else given.seeds)):
        arguments = [*control, "--seed", str(seed)]
        lines.append(
            row(seed, demo(given.dir, *arguments), demo(given.dir, "--no-stop", *arguments))
        )
        print("| " + " | ".join(cells(lines[-1])) + " |", flush=True)
        if given.json:
            given.json.write_text(json.dumps(lines, indent=1) + "\n")
    print("\n" + means(lines))


if __name__ == "__main__":
    main()
