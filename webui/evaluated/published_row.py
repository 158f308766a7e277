"""What Cusp says of scores that Tina published: whether a difference to them can be told from chance.

Published are single samples of 30 to 500 problems without intervals; a public reproduction with five seeds found such
gains within noise ("A Sober Look", arXiv 2504.07086). So each published score gets Wilson's interval for its number of
problems, and each difference Newcombe's, at 5 % in all tasks together (Bonferroni).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from webui import format
from webui.evaluated.proportions import CONFIDENCE, Proportion, difference, quantile, wilson
from webui.evaluated.tina_scores import BASE, BY_RECIPE, PRESET, PROBLEMS, SOURCE, Published

PROJECT = "tina"  # `run.project` of trainer/recipes/tina


def of_run(run: Mapping[str, Any], tasks: Collection[str]) -> Published | None:
    """Return the row published for the run's recipe; None if there is none, or for none of these tasks."""
    told = (run.get("config") or {}).get("run")
    named = (
        told.get("name") if isinstance(told, Mapping) and told.get("project") == PROJECT else None
    )
    found = BY_RECIPE.get(named) if isinstance(named, str) else None
    return found if found and set(tasks) & set(PROBLEMS) else None


def interval(model: Published, task: str, confidence: float = CONFIDENCE) -> Proportion | None:
    """Return a published score with Wilson's interval; None for a task that was not published."""
    share = model.shares.get(task)
    return None if share is None else wilson(share, PROBLEMS[task], confidence)


def against(published: Published, scores: Mapping[str, Proportion], name: str) -> str:
    """Return a sentence on the differences of a candidate's scores to the published ones."""
    tasks = [task for task in PROBLEMS if task in scores]
    if not tasks:
        return f"{name[0].upper()}{name[1:]} has no score on a task that was published."
    confidence = all_together(len(tasks))
    gaps = {
        task: difference(
            scores[task].at(confidence), wilson(published.shares[task], PROBLEMS[task], confidence)
        )
        for task in tasks
    }
    return f"{_told(gaps, f'{name} and the published {published.model}')} {_listed(gaps)}".strip()


def own_gain(published: Published) -> str:
    """Return a sentence on the gain over the base model that was published."""
    confidence = all_together(len(PROBLEMS))
    gaps = {
        task: difference(
            wilson(published.shares[task], n, confidence), wilson(BASE.shares[task], n, confidence)
        )
        for task, n in PROBLEMS.items()
    }
    gain, half = pooled(published)
    sure = "more than" if gain - half > 0 else "not more than"
    return (
        f"{_told(gaps, f'the published {published.model} and its base model')} Over all"
        f" {sum(PROBLEMS.values()):,} problems together it gained {format.points(gain)} points (95 %"
        f" {format.points(gain - half)} to {format.points(gain + half)}), which is {sure} one sample a problem"
        f" lets chance do; as the best checkpoint was chosen on these tasks, part of it is the choice's."
    )


def pooled(published: Published) -> tuple[float, float]:
    """Return the gain over the base model on all problems together, and half its 95 % interval.

    Stratified by task and not paired, as the single outcomes were not published.
    """
    total = sum(PROBLEMS.values())
    gain = sum(n * (published.shares[task] - BASE.shares[task]) for task, n in PROBLEMS.items())
    spread = sum(
        n * share * (1 - share)
        for model in (published, BASE)
        for task, n in PROBLEMS.items()
        for share in (model.shares[task],)
    )
    return gain / total, quantile(CONFIDENCE) * math.sqrt(spread) / total


def settings(presets: Iterable[str | None]) -> str:
    """Return how the published scores were made, and where these were judged otherwise."""
    own = sorted({preset or "not told" for preset in presets})
    made = (
        f"Published: {SOURCE}; one sample a problem, temperature 0.6, top-p 0.95, at most 32,768 tokens,"
        f" judge {PRESET}, the best of several checkpoints by these tasks; the intervals are Cusp's."
    )
    if own and own != [PRESET]:
        made += f" Here the judge is {' and '.join(own)}: a difference may be the judge's."
    return made


def all_together(tasks: int) -> float:
    """Return the confidence of each of several intervals that all hold at once with CONFIDENCE."""
    return 1 - (1 - CONFIDENCE) / tasks


def _told(gaps: Mapping[str, Proportion], between: str) -> str:
    """Return on how many of the tasks a difference is distinguishable, and which these are."""
    found = [task for task, gap in gaps.items() if not gap.low <= 0 <= gap.high]
    named = ", ".join(f"{task} ({_points(gaps[task])})" for task in found)
    return (
        f"Between {between} a difference can be told from chance on {len(found) or 'none'} of"
        f" {len(gaps)} task{'s' if len(gaps) > 1 else ''} (5 % in all){': ' if named else ''}{named}."
    )


def _listed(gaps: Mapping[str, Proportion]) -> str:
    """Return the differences that cannot be told from chance, "" where there is none."""
    within = [f"{t} {_points(gap)}" for t, gap in gaps.items() if gap.low <= 0 <= gap.high]
    return f"Not distinguishable: {'; '.join(within)}." if within else ""


def _points(gap: Proportion) -> str:
    return f"{format.points(gap.value)}, {format.points(gap.low)} to {format.points(gap.high)}"
