"""`cusp evaluate RUN STEP --import FILE`: scores by lighteval or lm-evaluation-harness for a checkpoint."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cusp.cli.scores import lighteval_files, lm_eval_files
from cusp.cli.scores.harness_files import TaskScores, UnreadableScores
from cusp.cli.support.output import console, print_json
from cusp.cli.support.run_lookup import find
from cusp.client import Client, ClientError
from cusp.ids import id_of
from cusp.transport.score_messages import UnusableScores, posts

ImportOption = Annotated[
    Path | None,
    typer.Option(
        "--import",
        metavar="FILE",
        help="Take scores of STEP (0: the base model) from a results or samples file of lighteval or lm_eval.",
    ),
]
MetricOption = Annotated[
    str | None, typer.Option(help="With --import: the metric, where a file has several.")
]


def import_scores(
    run: str, steps: Sequence[int] | None, file: Path, metric: str | None, *, as_json: bool
) -> None:
    """Post the scores in a file for one step, and compare the steps that have rows then."""
    if not steps or len(steps) != 1:
        raise typer.BadParameter(
            "--import takes the scores of one checkpoint: name its step (0: the base model)"
        )
    tasks = list(read(file, metric))
    with Client() as client:
        run_id = find(client, run)["id"]
        made = [_bodies(run_id, steps[0], scores) for scores in tasks]  # all, before one is sent
        taken = [_posted(client, run_id, bodies) for bodies in made]
        compared, why_not = _compared(client, run_id)
    if as_json:
        return print_json({"evaluations": taken, "comparison": compared})
    for one, scores in zip(taken, tasks, strict=True):
        _tell(one, scores)
    words = compared["reason"] if compared else f"Not compared: {why_not}"
    return console().print(words, markup=False)


def _tell(one: dict[str, Any], scores: TaskScores) -> None:
    for words in (
        f"step {one['step']} on {one['task']}: {scores.preset} {one['pass_at_1']:.3f}"
        f" [{one['low']:.3f}, {one['high']:.3f}] of {one['n_problems']} problems",
        *scores.left_out,
    ):
        console().print(words, markup=False)


def read(file: Path, metric: str | None) -> Iterator[TaskScores]:
    """Yield the scores of each task in a file; UnreadableScores says why it cannot be read."""
    if not file.is_file():
        raise UnreadableScores(f"there is no file {file}")
    if file.suffix == ".parquet":
        yield lighteval_files.of_details(file, metric=metric)
        return
    if file.suffix == ".jsonl":
        yield lm_eval_files.of_samples(file, metric=metric)
        return
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableScores(f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise UnreadableScores(
            f"{file} has no results; give lighteval's or lm_eval's results_DATE.json, a samples_*.jsonl"
            " of lm_eval or a details_*.parquet of lighteval"
        )
    lighteval = "config_general" in content
    yield from (lighteval_files if lighteval else lm_eval_files).of_results(file, content, metric)


def _bodies(run_id: str, step: int, scores: TaskScores) -> list[dict[str, Any]]:
    """Return what is sent for a task; UnreadableScores says why it cannot be taken."""
    told = [run_id, step, scores.task, scores.preset, list(scores.rows), scores.pass_at_1]
    name = id_of(hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).digest())
    about: dict[str, Any] = {"source": scores.source, "preset": scores.preset, "step": step}
    about |= {"pass_at_1": scores.pass_at_1, "n_problems": scores.n_problems}
    try:
        return posts(scores.task, scores.rows, scores.problems, evaluation_id=name, **about)
    except UnusableScores as error:
        raise UnreadableScores(f"the scores on {scores.task} cannot be taken: {error}") from error


def _posted(client: Client, run_id: str, bodies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    answers = [client.post(f"/runs/{run_id}/evaluations", body) for body in bodies]
    return dict(answers[-1]["evaluation"])


def _compared(client: Client, run_id: str) -> tuple[dict[str, Any] | None, str]:
    """Return the comparison of the steps that have rows, else None and why there is none."""
    try:
        return dict(client.post(f"/runs/{run_id}/comparisons")["comparison"]), ""
    except ClientError as error:
        return None, str(error)
