"""A detector of one's own is scored by the documented interface, and a bad file is answered with a sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.detector import scoring
from benchmarks.detector.grpo_simulation import make
from benchmarks.detector.score import BadDetector, judged, load

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/my_detector.py"


def written(folder: Path, text: str) -> Path:
    file = folder / "theirs.py"
    file.write_text(text)
    return file


def test_the_documented_example_stops_where_accuracy_falls_and_keeps_a_checkpoint_from_before() -> (
    None
):
    detector = load(EXAMPLE)
    run = make("hack_450", 4)
    case = run.case()
    outcome = judged(case, detector)
    assert outcome.stop is not None
    assert run.truth is not None
    assert run.truth < outcome.stop < run.truth + 200
    assert outcome.watch is not None
    assert outcome.watch < outcome.stop
    assert scoring.regret(case, outcome).signals < scoring.regret(case, outcome).last - 0.05


def test_the_example_leaves_a_steady_run_alone() -> None:
    outcome = judged(make("steady", 1).case(), load(EXAMPLE))
    assert (outcome.stop, outcome.points) == (None, 2000)


def test_a_detector_is_told_what_is_known_of_the_run(tmp_path: Path) -> None:
    text = """
class Detector:
    def __init__(self, run):
        self.safe_step = run.completions * 1000 + run.group
        assert run.limit > 0 and run.rewards["accuracy_reward"] == (0.0, 1.0)
    def update(self, step, metrics):
        return "stop" if step == 7 else None
"""
    run = make("drop_mild_450", 1)
    outcome = judged(run.case(), load(written(tmp_path, text)))
    assert (outcome.stop, outcome.points) == (7, 7)
    assert outcome.safe == run.setting.completions * 1000 + run.setting.group


def test_a_suspicion_that_lapses_and_comes_back_counts_twice(tmp_path: Path) -> None:
    text = """
class Detector:
    def __init__(self, run): pass
    def update(self, step, metrics):
        return "suspect" if step in (10, 11, 12, 20) else None
"""
    outcome = judged(make("steady", 1).case(), load(written(tmp_path, text)))
    assert (outcome.stop, outcome.watch, outcome.suspicions) == (None, 10, (10, 20))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "defines no class Detector with a method update"),
        ("class Detector: pass", "defines no class Detector with a method update"),
        ("1 / 0", "cannot be run: ZeroDivisionError: division by zero"),
        ("def broken(:", "cannot be run: SyntaxError"),
    ],
)
def test_a_file_without_a_detector_is_answered_with_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(BadDetector, match=words):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 'halt'", r"update\(1, \.\.\.\) returned 'halt' on steady_0; it must be None"),
        (
            "return metrics['nothing']",
            r"update\(1, \.\.\.\) raised KeyError on steady_0: 'nothing'",
        ),
    ],
)
def test_a_detector_that_misbehaves_is_named_with_run_and_step(
    tmp_path: Path, body: str, words: str
) -> None:
    text = f"class Detector:\n    def __init__(self, run): pass\n    def update(self, step, metrics): {body}\n"
    with pytest.raises(BadDetector, match=words):
        judged(make("steady", 0).case(), load(written(tmp_path, text)))


def test_the_program_scores_the_example_and_refuses_a_file_that_is_not_there(
    tmp_path: Path,
) -> None:
    program = [sys.executable, "-m", "benchmarks.detector.score"]
    out = tmp_path / "out.json"
    command = [*program, str(EXAMPLE), "--quick", "--on", "zoo", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "| my_detector" in done.stdout
    assert "| Cusp" in done.stdout
    assert set(json.loads(out.read_text())["zoo"]["outcomes"]) == {"my_detector", "Cusp"}
    bad = subprocess.run([*program, "nothing.py"], cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 2
    assert bad.stderr.startswith("there is no file nothing.py; name a Python file that defines")
