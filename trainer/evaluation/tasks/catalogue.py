"""The benchmarks that Cusp knows: where each one's problems are, how they are asked and judged.

Ids, splits, columns and prompts are those of the tasks that Tina was scored on by lighteval
(github.com/shangshang-wang/Tina, scripts/eval/run_eval_custom_tasks.py, after open-r1 and simple-evals). No
problem is shipped: `cusp tasks fetch` makes a copy with a checksum (`task_copies`), and evaluations read only that.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from trainer.recipe import Verifier
from trainer.training.data import DataError

MATH_PROMPT = (
    "Solve the following math problem efficiently and clearly.  The last line of your response should be of"
    " the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope it is correct' (without"
    " quotes) where ANSWER is just the final number or expression that solves the problem. Think step by step"
    " before answering.\n\n<question>"
)
"""Tina's and open-r1's, after simple-evals; the double blank is theirs."""

CHOICE_PROMPT = (
    "Answer the following multiple choice question. The last line of your response should be of the following"
    " format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before"
    " answering.\n\n<question>\n\n<options>"
)
BOXED_PROMPT = "<question>\n\nThink step by step, and give the final answer in \\boxed{}."
"""For what no published evaluation asks in words of its own."""

Gold = Literal["column", "last_box"]


@dataclass(frozen=True)
class Benchmark:
    """One data set of the Hugging Face hub as a task.

    `problem` and `answer` are columns or paths into one; `gold` says whether the answer is the column's text
    or the last box in it; `wrong` are the columns of the other options of a multiple choice question.
    `problems` is how many there should be; a copy with another number says so.
    `unverified` names what was not seen in code that reads the set.
    """

    name: str
    title: str
    hub_id: str
    split: str
    problem: str
    answer: str
    judge: Verifier
    licence: str
    problems: int
    config: str | None = None
    revision: str = "main"
    gold: Gold = "column"
    wrong: tuple[str, ...] = ()
    prompt: str = MATH_PROMPT
    gated: bool = False
    unverified: str = ""


CATALOGUE = {
    each.name: each
    for each in (
        Benchmark(
            name="aime24",
            title="AIME 2024, I and II",
            hub_id="HuggingFaceH4/aime_2024",
            split="train",
            problem="problem",
            answer="answer",
            judge="lighteval",
            licence="not stated; problems by the MAA",
            problems=30,
        ),
        Benchmark(
            name="aime25",
            title="AIME 2025, I and II",
            hub_id="yentinglin/aime_2025",
            split="train",
            problem="problem",
            answer="answer",
            judge="lighteval",
            licence="not stated; problems by the MAA",
            problems=30,
        ),
        Benchmark(
            name="amc23",
            title="AMC 12 2023, answers as integers",
            hub_id="knoveleng/AMC-23",
            split="train",
            problem="problem",
            answer="answer",
            judge="lighteval",
            licence="not stated; problems by the MAA",
            problems=40,
        ),
        Benchmark(
            name="math500",
            title="500 problems of MATH (arXiv 2103.03874) chosen for arXiv 2305.20050",
            hub_id="HuggingFaceH4/MATH-500",
            split="test",
            problem="problem",
            answer="solution",
            gold="last_box",
            judge="lighteval",
            licence="MIT (of MATH)",
            problems=500,
        ),
        Benchmark(
            name="gpqa_diamond",
            title="GPQA diamond (arXiv 2311.12022): physics, chemistry, biology; four options",
            hub_id="Idavidrein/gpqa",
            config="gpqa_diamond",
            split="train",
            problem="Question",
            answer="Correct Answer",
            wrong=("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
            prompt=CHOICE_PROMPT,
            judge="choice",
            licence="CC BY 4.0; its authors ask not to publish the questions as text",
            problems=198,
            gated=True,
        ),
        Benchmark(
            name="minerva",
            title="Minerva's problems of OpenCourseWare (arXiv 2206.14858)",
            hub_id="knoveleng/Minerva-Math",
            split="train",
            problem="problem",
            answer="solution",
            gold="last_box",
            judge="lighteval",
            licence="not stated; problems of MIT OpenCourseWare",
            problems=272,
            unverified="that each solution has a box: where one has none, its whole text is the gold answer",
        ),
        Benchmark(
            name="olympiadbench",
            title="OlympiadBench (arXiv 2402.14008): the open-ended English problems of mathematics as text",
            hub_id="knoveleng/OlympiadBench",
            split="train",
            problem="question",
            answer="answer",
            judge="lighteval",
            licence="Apache-2.0 (of OlympiadBench)",
            problems=675,
            unverified="the number of problems",
        ),
    )
}


def benchmark(name: str) -> Benchmark:
    """Return the benchmark of that name; DataError names those that there are."""
    if name not in CATALOGUE:
        close = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DataError(f"there is no benchmark {name!r:.60}: {', '.join(CATALOGUE)}{hint}")
    return CATALOGUE[name]
