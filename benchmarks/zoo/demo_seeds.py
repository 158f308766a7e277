"""Was stopping right? The demo on several seeds, stopped and to the end, every checkpoint scored.

python -m benchmarks.zoo.demo_seeds [--seeds 10] [--first 0] [--cpu default,avx2] [--healthy] [--quick]
                                    [--json FILE] [--dir FOLDER]

For each seed two real runs of `cusp demo`: one as it is, one with `--no-stop`, which trains to the end
and scores all checkpoints on the same held-out problems. All pass@1 are from the report set of the
`--no-stop` run; its best checkpoint is the one with the highest of them, which flatters it by some of their noise.
`--cpu` runs each seed once for every named ATEN_CPU_CAPABILITY: other kernels round otherwise and so give
another training from the same seed, as another machine does. `--healthy` runs the control, where a stop
is a false one. `--quick`: two seeds. Runs whose summary is in the folder are not made again.

A run is `right` when it was stopped and ends with a checkpoint within .05 of the best: the one that its evaluation
chose, else the one kept at the stop (counted beside it). A run of the control is right when it was not
stopped. The share has its exact 95 % interval (Clopper and Pearson, 1934).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

Json = dict[str, Any]
NEAR = 0.05  # of the best checkpoint's pass@1, within which the kept one counts as right (issue 12)
KEPT, NO_TRANSITION = 0, 3  # statuses of `cusp demo --exit`; any other is a failure
CPUS = ("default", "avx2", "avx512", "own")
COLUMNS = (
    "seed", "cpu", "transition", "by", "stop", "of", "kept step", "pass@1 kept", "chosen by evaluation",
    "pass@1 chosen", "last", "pass@1 last", "best of all", "pass@1 best", "right", "completions", "saved", "s",
)  # fmt: skip


def demo(folder: Path, cpu: str, *arguments: str) -> Json:
    """Return the summary of one `cusp demo`; its output goes to a log beside it."""
    out = folder / f"{cpu}_{'_'.join(arguments).replace('--', '')}.json"
    if not out.exists():
        part = out.with_suffix(".part")
        command = [sys.executable, "-m", "cusp", "demo", "--exit", "--json", str(part), *arguments]
        kernels = {} if cpu == "own" else {"ATEN_CPU_CAPABILITY": cpu}
        with out.with_suffix(".log").open("w") as log:
            status = subprocess.run(
                [*command, "--port", "0", "--dir", str(folder / "data")],
                stdout=log,
                stderr=log,
                env={**os.environ, **kernels},
                check=False,
            ).returncode
        if status not in (KEPT, NO_TRANSITION):
            sys.exit(f"the demo ended with {status}, see {out.with_suffix('.log')}")
        part.replace(out)
    found: Json = json.loads(out.read_text())
    return found


def row(seed: int, cpu: str, healthy: bool, stopped: Json, whole: Json) -> Json:
    """Return one line of the table."""
    scores = {one["step"]: one["pass_at_1"] for one in whole["candidates"]}
    last = max(scores)
    best = max(scores, key=lambda step: (scores[step], -step))
    kept, stop = stopped["kept_checkpoint_step"], stopped["stopped_at_step"]
    chosen = stopped["best_checkpoint_step"]

    def near(step: int | None) -> bool:
        """Whether a run stopped with this checkpoint is near the best."""
        return stop is not None and step in scores and scores[step] >= scores[best] - NEAR

    return {
        "seed": seed,
        "cpu": cpu,
        "transition": stopped["transition"],
        "stopped_at_step": stop,
        "max_steps": stopped["max_steps"],
        "kept": kept,
        "chosen": chosen,
        "last": last,
        "best": best,
        "scores": scores,
        "kept_near": near(kept),
        "right": stop is None if healthy else near(kept if chosen is None else chosen),
        "completions": sum(one["completions"] for one in stopped["verifications"]),
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
        line["cpu"],
        f"{found['step']} [{found['low']}-{found['high']}]" if found else "none found",
        found["confirmed_by"] if found else "–",
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
        "yes" if line["right"] else "no",
        str(line["completions"]),
        f"{100 * line['saved_fraction']:.0f} %",
        f"{line['seconds']:.0f}",
    ]


def means(lines: Sequence[Json], healthy: bool) -> str:
    """Return how many were right, and means over all runs; one not stopped keeps its last checkpoint."""

    def mean(name: str, instead: str) -> float:
        steps = [line[name] if line[name] in line["scores"] else line[instead] for line in lines]
        scores = [line["scores"][step] for line, step in zip(lines, steps, strict=True)]
        return float(np.mean(scores))

    kept, chosen = mean("kept", "last"), mean("chosen", "last")
    last, best = mean("last", "last"), mean("best", "best")
    saved = sum(line["saved_fraction"] for line in lines) / len(lines)
    stopped = sum(line["stopped_at_step"] is not None for line in lines)
    right = sum(line["right"] for line in lines)
    share = binomtest(right, len(lines)).proportion_ci(method="exact")
    near = sum(line["kept_near"] for line in lines)
    wanted = (
        "left alone"
        if healthy
        else f"stopped with a checkpoint within {NEAR} of the best ({near} by the kept one)"
    )
    return (
        f"{right} of {len(lines)} {wanted} (95 % interval {share.low:.0%} to {share.high:.0%}); {stopped} stopped. Mean"
        f" pass@1: kept {kept:.3f}, chosen by the evaluation {chosen:.3f}, last {last:.3f}, best of all"
        f" {best:.3f}. Regret: {best - kept:.3f}, {best - chosen:.3f}, {best - last:.3f}. Steps saved:"
        f" {100 * saved:.0f} %."
    )


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument(
        "--cpu", default="own", help=f"kernels to run with, separated by commas: {', '.join(CPUS)}"
    )
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "cusp-demo-seeds")
    given = parser.parse_args()
    given.cpu = given.cpu.split(",")
    if unknown := set(given.cpu) - set(CPUS):
        parser.error(f"--cpu {min(unknown)!r} is none of {', '.join(CPUS)}")
    return given


def main() -> None:
    """Run the seeds, print the table as Markdown row by row."""
    given = arguments()
    given.dir.mkdir(parents=True, exist_ok=True)
    control = ["--healthy"] if given.healthy else []
    lines: list[Json] = []
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    for seed in range(given.first, given.first + (2 if given.quick else given.seeds)):
        for cpu in given.cpu:
            asked = [*control, "--seed", str(seed)]
            stopped, whole = (demo(given.dir, cpu, *more, *asked) for more in ([], ["--no-stop"]))
            lines.append(row(seed, cpu, given.healthy, stopped, whole))
            print("| " + " | ".join(cells(lines[-1])) + " |", flush=True)
            if given.json:
                given.json.write_text(json.dumps(lines, indent=1) + "\n")
    print("\n" + means(lines, given.healthy))


if __name__ == "__main__":
    main()
