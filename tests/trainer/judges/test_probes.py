"""Completions with their gold and what a person calls them; two thirds were written before one was judged."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from trainer.judges import choice_gold
from trainer.judging import Limits
from trainer.recipe import Verifier as Name
from trainer.verifiers import MathVerify, Verifier, make_verifiers

LINES = Path(__file__).with_name("probes.jsonl").read_text(encoding="utf-8").splitlines()
PROBES = [json.loads(line) for line in LINES]
PRESETS: tuple[Name, ...] = ("math_verify", "lighteval", "choice")


@pytest.fixture(scope="module")
def verifiers() -> Iterator[dict[Name, Verifier]]:
    made = make_verifiers((*PRESETS, "math_verify_tina"))
    yield made
    for verifier in made.values():
        verifier.close()


@pytest.fixture(scope="module")
def champ() -> list[str]:
    """The final answers of CHAMP's 270 problems (Mao et al. 2024, arXiv 2401.06961), as people wrote them."""
    file = resources.files("champ_dataset") / "dataset_files" / "v0.json"
    problems: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["problems"]
    return [problem["_answer"] for problem in problems.values()]


def outcomes(verifier: Verifier, pairs: list[tuple[str, str]]) -> list[str]:
    return list(verifier.outcomes([text for _, text in pairs], [gold for gold, _ in pairs]))


def test_probes_are_judged_as_a_person_would(verifiers: dict[Name, Verifier]) -> None:
    assert len({(probe["gold"], probe["completion"]) for probe in PROBES}) >= 120
    by_preset = defaultdict(list)
    for probe in PROBES:
        by_preset[probe["preset"]].append(probe)
    assert set(by_preset) == set(PRESETS)
    for preset, probes in by_preset.items():
        pairs = [(probe["gold"], probe["completion"]) for probe in probes]
        found = list(zip(probes, outcomes(verifiers[preset], pairs), strict=True))
        undecided = [
            (probe, outcome) for probe, outcome in found if outcome in ("no gold", "failed")
        ]
        failing = [probe for probe, outcome in found if (outcome == "right") != probe["right"]]
        print(preset, f"{len(probes) - len(failing)} of {len(probes)}", *failing, sep="\n")
        assert not undecided
        assert len(failing) <= 0.03 * len(probes), failing
        wrongly_right = [probe for probe in failing if not probe["right"]]
        assert not wrongly_right, (
            "a wrong answer that counts is worse than a right one that does not"
        )


@pytest.mark.parametrize(
    ("preset", "form"),
    [
        ("math_verify", "So \\boxed{%s}"),
        ("lighteval", "So \\boxed{%s}"),
        ("lighteval", "%s"),
        ("lighteval", "We get it.\n\nThe answer is %s."),
    ],
)
def test_all_of_champs_own_answers_are_right(
    verifiers: dict[Name, Verifier], champ: list[str], preset: Name, form: str
) -> None:
    found = outcomes(verifiers[preset], [(gold, form % gold) for gold in champ])
    assert [gold for gold, outcome in zip(champ, found, strict=True) if outcome != "right"] == []
    assert len(found) == 270


def test_champs_answers_to_other_problems_are_wrong(
    verifiers: dict[Name, Verifier], champ: list[str]
) -> None:
    """Those 97 places further on; what is right there says the same in other words."""
    distinct = list(dict.fromkeys(champ))
    others = distinct[97 % len(distinct) :] + distinct[: 97 % len(distinct)]
    pairs = [(gold, f"\\boxed{{{other}}}") for gold, other in zip(distinct, others, strict=True)]
    found = outcomes(verifiers["lighteval"], pairs)
    assert [pair for pair, outcome in zip(pairs, found, strict=True) if outcome != "wrong"] == []


def test_golds_that_no_answer_can_be_compared_with_are_told(
    verifiers: dict[Name, Verifier], champ: list[str]
) -> None:
    golds = ["5", "", r"\frac{1}{2", "???", "even", "  ", "$", "{"]
    for preset in ("math_verify", "lighteval"):
        assert verifiers[preset].undecidable(golds) == [1, 2, 3, 5, 6, 7]
    assert verifiers["lighteval"].undecidable(champ) == []
    assert verifiers["math_verify_tina"].undecidable(["5", "Evelyn", "$C$"]) == [1]
    letters = ["B", choice_gold("B", ["4", "5"]), "the second", '{"letter": "C", "options": ["4"]}']
    assert verifiers["choice"].undecidable(letters) == [2, 3]


def test_equal_answers_read_the_same(verifiers: dict[Name, Verifier]) -> None:
    halves = [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{x = \frac{2}{4}}", r"\boxed{50\%}"]
    assert set(verifiers["lighteval"].answers(halves, ["1/2"] * 4)) == {"1/2"}
    plain = ["The answer is 1/2.", "$\\frac12$", "No.", "no", "<think>\\boxed{4}", ""]
    assert verifiers["lighteval"].answers(plain, ["1/2"] * 6) == [
        "1/2",
        "1/2",
        "no",
        "no",
        None,
        None,
    ]
    powers = [r"\boxed{(x+1)^2 - 1}", r"\boxed{x^2+2x}", r"\boxed{2x + x^{2}}"]
    assert len(set(verifiers["math_verify"].answers(powers, ["x"] * 3))) == 1
    gold = choice_gold("B", ["4 m", "5 m"])
    assert verifiers["choice"].answers(["(B)", "5 m", "A dog"], [gold] * 3) == ["B", "B", None]
    assert verifiers["math_verify"].answers(["The answer is 7", r"\boxed{7}"], ["7"] * 2) == [
        None,
        "7",
    ]


def test_an_answer_that_hangs_is_not_read_and_the_others_are() -> None:
    with closing(MathVerify(2, Limits(0.5, 1.0, 60.0), way="lighteval")) as verifier:
        texts = ["\\boxed{9^{9^{9^{9}}}}", "\\boxed{7}"]
        assert verifier.answers(texts, ["7", "7"]) == [None, "7"]


def test_a_letter_outside_of_the_options_is_no_gold() -> None:
    with pytest.raises(ValueError, match="'C' names none of the 2 options; letters are A to B"):
        choice_gold("C", ["4", "5"])
