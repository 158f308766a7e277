"""Other people's monitors and change-point packages, in an environment of their own.

    python -m benchmarks.detector.baselines.workers     makes .bench-peers/detectors (neighbours.txt)

Reads one JSON object a line: {"method", "points": [[step, metrics as TRL names them]], "group",
"completions", "limit", "columns": stabilised values}. Answers {"records": [[index, evidence, dated
index]], "seconds": CPU time}. Each monitor is driven as its own TRL callback drives it:
  rldoctor 0.2.0  RLDoctorCallback(halt_on=Severity.CRITICAL): LiveMonitor, a diagnosis every 25 logged
                  steps from the 60th on; the configuration that the callback reads off the trainer
  rlprobe 0.1.0   attach(trainer, halt=True): HaltPolicy() (critical, confidence .7), every 25 steps
  rlwatch 0.5.1   attach(): it has no halt; its critical alert is what its README says to kill a run on
The change-point packages read format, length and accuracy in noise units:
  focus-cpt       one-sided Gaussian FOCuS of each metric, unknown mean, online; evidence = its statistic
  skchange        SeededBinarySegmentation with its defaults, re-run every 20 points on the last 300;
                  evidence = sum of squared z of its worst change for the worse
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import sys
import tempfile
import time
import types
from typing import TYPE_CHECKING, TypedDict

import numpy as np

if TYPE_CHECKING:
    from benchmarks.detector.baselines.evidence import bad, noise
else:  # run as a script: this package is not on its path
    from evidence import bad, noise

EVERY, WINDOW, LEAST = 20, 300, 60
Records = list[list[float]]


class Asked(TypedDict):
    """One line of standard input."""

    method: str
    points: list[tuple[int, dict[str, float]]]
    columns: list[list[float | None]]
    group: int | None
    completions: int | None
    limit: int | None


def rldoctor(asked: Asked) -> Records:
    """Return the first critical finding; rldoctor gives no date."""
    from rl_doctor.detectors.base import Severity
    from rl_doctor.live import LiveMonitor

    config = {"algorithm": "grpo", "num_generations": asked["group"],
              "per_device_train_batch_size": asked["completions"],
              "max_completion_length": asked["limit"]}  # fmt: skip
    known = {name: value for name, value in config.items() if value}
    monitor = LiveMonitor(config=known, name="trl", on_finding=lambda finding: None)
    for i, (step, metrics) in enumerate(asked["points"]):
        if any(f.severity >= Severity.CRITICAL for f in monitor.log(metrics, step=step)):
            return [[i, 1.0, i]]
    return []


def rlprobe(asked: Asked) -> Records:
    """Return the first finding on which HaltPolicy() halts, dated by its onset."""
    # Its mapping of TRL's names lies beside its callback, which needs the class it is derived from.
    transformers = types.ModuleType("transformers")
    vars(transformers)["TrainerCallback"] = object
    sys.modules.setdefault("transformers", transformers)
    from rlprobe.doctor.engine import diagnose_view
    from rlprobe.doctor.live import HaltPolicy
    from rlprobe.doctor.runview import RunView
    from rlprobe.integrations.trl import _map_logs
    from rlprobe.schemas import RunManifest, StepRecord

    manifest = RunManifest(run_id="run", created_at="2026-01-01T00:00:00Z", algorithm="grpo")
    policy, records = HaltPolicy(), []
    for i, (step, metrics) in enumerate(asked["points"]):
        records.append(StepRecord(step=step, **_map_logs(metrics)))
        if step and step % 25 == 0:
            hit = policy.should_halt(diagnose_view(RunView(manifest, records)))
            if hit is not None:
                steps = [record.step for record in records]
                at = i if hit.first_step is None else int(np.searchsorted(steps, hit.first_step))
                return [[i, 1.0, min(at, i)]]
    return []


def rlwatch(asked: Asked) -> Records:
    """Return the first critical alert."""
    import rlwatch as package

    names = {"entropy": "entropy", "kl": "kl_divergence", "reward": "reward_mean",
             "reward_std": "reward_std", "loss": "loss", "learning_rate": "learning_rate",
             "grad_norm": "grad_norm"}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        monitor = package.attach(framework="manual")
        try:
            for i, (step, metrics) in enumerate(asked["points"]):
                known = {names[n]: v for n, v in metrics.items() if n in names}
                if any(alert.severity == "critical" for alert in monitor.log_step(step, **known)):
                    return [[i, 1.0, i]]
        finally:
            monitor.stop()
    return []


def focus(asked: Asked) -> Records:
    """Return the records of the greatest statistic of any metric's fall."""
    from focus_cpt import focus_offline

    x = _scaled(asked)
    if len(x) < LEAST:
        return []
    found = [
        focus_offline(
            column, threshold=np.inf, type="univariate_one_sided", family="gaussian", side="left"
        )
        for column in x.T.copy()
    ]
    scores = np.array([np.ravel(one["stat"]) for one in found])
    dates = np.array([np.ravel(one["changepoint"]) for one in found])
    records, top = [], 0.0
    for i in range(40, len(x)):
        k = int(np.argmax(scores[:, i]))
        if scores[k, i] > top:
            top = float(scores[k, i])
            records.append([i, top, max(int(dates[k, i]) - 1, 0)])
    return records


def skchange(asked: Asked) -> Records:
    """Return the records of the worst change of each re-run."""
    from skchange.detectors import SeededBinarySegmentation

    x, records, top = _scaled(asked), [], 0.0
    for end in range(LEAST, len(x) + 1, EVERY):
        start = max(0, end - WINDOW)
        window = x[start:end]
        found = SeededBinarySegmentation().fit(window).predict(window)
        ends = [0, *(int(c) for c in np.ravel(found)), len(window)]
        triples = zip(ends, ends[1:], ends[2:], strict=False)
        score, dated = max((bad(window, *t, start) for t in triples), default=(0.0, 0))
        if score > top:
            top = score
            records.append([end - 1, score, dated])
    return records


def _scaled(asked: Asked) -> np.ndarray:
    """Return the columns in noise units of the first 40 points; a missing value repeats the last."""
    x = np.array(asked["columns"], dtype=float)
    for i in range(len(x)):
        x[i] = np.where(np.isfinite(x[i]), x[i], x[i - 1] if i else 0.0)
    return x / noise(x[:40]) if len(x) >= 40 else x


METHODS = {"rldoctor": rldoctor, "rlprobe": rlprobe, "rlwatch": rlwatch,
           "focus-cpt": focus, "skchange": skchange}  # fmt: skip
MODULES = {"rldoctor": "rl_doctor", "rlprobe": "rlprobe", "rlwatch": "rlwatch",
           "focus-cpt": "focus_cpt", "skchange": "skchange"}  # fmt: skip


def main() -> None:
    """Answer line by line; what the packages print is dropped."""
    answers = sys.stdout
    for line in sys.stdin:
        asked, begin = json.loads(line), time.process_time()
        if asked["method"] == "?":
            print(json.dumps(_installed()), file=answers, flush=True)
            continue
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            records = METHODS[asked["method"]](asked)
        said = {"records": records, "seconds": time.process_time() - begin}
        print(json.dumps(said), file=answers, flush=True)


def _installed() -> dict[str, str]:
    """Return for each package `name version` if it can be imported, else the reason why not."""
    found = {}
    for name, module in MODULES.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module(module)
            found[name] = f"{name} {importlib.metadata.version(name)}"
        except ImportError as error:
            found[name] = (
                f"{type(error.__context__ or error).__name__}: {error.__context__ or error}"
            )
    return found


if __name__ == "__main__":
    main()
