"""The presets `reward` and `lighteval` against math-verify as Tina used it, on the probes and on CHAMP's model answers.

python -m benchmarks.evaluation.judge_agreement

Probes (tests/trainer/judges/probes.jsonl) say what a person would call right. CHAMP (Mao et al. 2024) has what GPT-3.5
and GPT-4 answered in a sentence to its 270 problems, without a verdict: there only agreement is told, with math-verify
called as lighteval calls it (plain expressions and LaTeX, the box first).
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

from trainer.verifiers import Verifier, make_verifiers

PROBES = Path(__file__).parents[2] / "tests" / "trainer" / "judges" / "probes.jsonl"
ASKED = ("GPT-3.5|0-Shot", "GPT-4|0-Shot")
AS_LIGHTEVAL = (ExprExtractionConfig(), LatexExtractionConfig(boxed_match_priority=0))


def right(verifier: Verifier, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Return whether each (gold, completion) is right; what is not decided is not."""
    golds, texts = zip(*pairs, strict=True)
    return [outcome == "right" for outcome in verifier.outcomes(texts, golds)]


def on_probes(preset: str, verifier: Verifier, tinas: Verifier) -> None:
    """Print how often a preset and Tina's way agree with each other and with a person."""
    probes = [json.loads(line) for line in PROBES.read_text(encoding="utf-8").splitlines()]
    probes = [probe for probe in probes if probe["preset"] == preset]
    pairs = [(probe["gold"], probe["completion"]) for probe in probes]
    ours, theirs = right(verifier, pairs), right(tinas, pairs)
    unread = tinas.outcomes([text for _, text in pairs], [gold for gold, _ in pairs])
    person = [probe["right"] for probe in probes]
    count = Counter(
        name
        for one, other, truth in zip(ours, theirs, person, strict=True)
        for name, holds in (
            ("agree", one == other),
            ("ours", one == truth),
            ("tina", other == truth),
        )
        if holds
    )
    print(
        f"{preset}: {len(probes)} probes; as a person: {count['ours']}, math_verify_tina {count['tina']}"
        f" ({unread.count('no gold')} golds unread); the two agree on {count['agree']}"
    )


def as_lighteval(gold: str, completion: str) -> bool:
    """Return what math-verify says when it is called as lighteval calls it."""
    expected, found = (
        parse(text, list(AS_LIGHTEVAL), parsing_timeout=None) for text in (gold, completion)
    )
    return bool(verify(expected, found, timeout_seconds=None))


def on_champ(verifier: Verifier) -> None:
    """Print how often `lighteval` and math-verify agree on what models answered."""
    file = resources.files("champ_dataset") / "dataset_files" / "v0.json"
    problems: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["problems"]
    pairs = [
        (problem["_answer"], problem["conversations"][asked]["messages"][-1]["text"] or "")
        for problem in problems.values()
        for asked in ASKED
    ]
    ours = right(verifier, pairs)
    theirs = [as_lighteval(*pair) for pair in pairs]
    both = Counter(zip(ours, theirs, strict=True))
    print(
        f"CHAMP: {len(pairs)} answers of models; right by both {both[True, True]}, by neither {both[False, False]},"
        f" by lighteval's preset only {both[True, False]}, by math-verify only {both[False, True]}"
    )
    for (gold, text), one, other in zip(pairs, ours, theirs, strict=True):
        if one != other:
            print(f"  {'preset' if one else 'math-verify'} only: {gold!r} | {text[-150:]!r}")


def main() -> None:
    """Print the comparisons."""
    made = make_verifiers(("math_verify", "lighteval", "math_verify_tina"))
    with closing(made["math_verify"]):
        for preset in ("math_verify", "lighteval"):
            on_probes(preset, made[preset], made["math_verify_tina"])
        on_champ(made["lighteval"])


if __name__ == "__main__":
    main()
