"""Suites: which tasks are reported on, with how many samples a problem, and which one is chosen on."""

from dataclasses import dataclass

from trainer.recipe import SelectionTask, SuiteTask

GYM = "reasoning_gym:"


@dataclass(frozen=True)
class Suite:
    """Tasks to report on, and one to choose checkpoints on that shares no problem with them.

    `max_new_tokens` is for a run whose recipe has no limit of its own.
    """

    title: str
    report: tuple[SuiteTask, ...]
    selection: SelectionTask
    max_new_tokens: int = 32_768  # of Tina's tables


def _tasks(*given: tuple[str, int, int | None]) -> tuple[SuiteTask, ...]:
    return tuple(
        SuiteTask(name=name, samples_per_problem=samples, problems=problems)
        for name, samples, problems in given
    )


# Not one of the six, and harder than MATH-500 (decision 0020).
_OLYMPIAD = SelectionTask(name="olympiadbench", problems=200)
_SIX = ("aime24", "aime25", "amc23", "math500", "gpqa_diamond", "minerva")

SUITES = {
    "tina": Suite(
        "the six benchmarks of Tina's tables (arXiv 2504.15777), one sample a problem as there",
        _tasks(*((name, 1, None) for name in _SIX)),
        _OLYMPIAD,
    ),
    # "A Sober Look" (arXiv 2504.07086): small sets need more samples to be told apart from noise.
    "sober": Suite(
        "the same six with 16, 16, 16, 4, 8 and 4 samples a problem",
        _tasks(*((name, k, None) for name, k in zip(_SIX, (16, 16, 16, 4, 8, 4), strict=True))),
        _OLYMPIAD,
    ),
    "offline": Suite(
        "CHAMP and three tasks of reasoning-gym: installed by pip, nothing is fetched",
        _tasks(
            ("champ", 2, None),
            (f"{GYM}gsm_symbolic", 2, 200),
            (f"{GYM}simple_equations", 2, 100),
            (f"{GYM}chain_sum", 2, 100),
        ),
        SelectionTask(name=f"{GYM}gsm_symbolic", problems=200),
    ),
    "smoke": Suite(
        "40 problems that show within minutes whether everything works",
        _tasks(("champ", 1, 20), (f"{GYM}chain_sum", 1, 20)),
        SelectionTask(name=f"{GYM}chain_sum", problems=20),
        max_new_tokens=1024,  # minutes with transformers, too
    ),
}
