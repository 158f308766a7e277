"""What each kind of run does to the policy: healthy ones that look like trouble, and transitions.

Sizes of transitions are in logits at `medium`; near a format of .97 a logit is 5 points, at .85 17.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.detector.grpo_simulation.policy import Course, State, drawn_course
from benchmarks.detector.grpo_simulation.setting import LENGTHS, Array, Setting

Group = Literal["steady", "hard", "odd", "positive"]  # all but the last are healthy
Rng = np.random.Generator
Change = Callable[[Rng, Setting, State, Array], State]  # the steps since the truth, 0 before
SIZES = {"mild": 0.5, "medium": 1.0, "strong": 2.0}
PLACES = {50: 500, 450: 1000, 1800: 2400}  # truth: steps of the run
HEALTHY_STEPS = 2000
SHARP = (8, 17, 26, 44)  # 10-90 % widths in steps of the rises in public logs and a wider one


@dataclass(frozen=True)
class Kind:
    """A kind of run. `truth` is the last step of its last healthy batch, None if nothing goes wrong."""

    name: str
    group: Group
    steps: int = HEALTHY_STEPS
    truth: int | None = None
    width: float | None = None
    change: Change | None = None
    size: str = ""


# --------------------------------------------------------------------------------- the healthy part


def prepared(rng: Rng, kind: Kind, setting: Setting) -> tuple[Setting, Course]:
    """Return the setting and the course of a run of a kind; the limit is in tokens from here on."""
    length = float(rng.choice(LENGTHS))
    course = drawn_course(rng, *_rise(rng, kind), length)
    family = kind.name.split("_")[0]
    if family == "tina":
        return _tina(rng, setting, course)
    if family == "sharp":
        setting = replace(setting, prompts=8, group=8, format_levels=1, strict=False)
        course = replace(course, low=0.1, high=0.97, shorter=0.8)
    elif family == "growing":
        setting, course = replace(setting, strict=False), _growing(rng, course)
    elif family == "wander":
        course = replace(course, phi=0.98, restless=float(rng.uniform(2.5, 4)))
    elif family == "saturated":
        course = replace(course, low=0.99, high=0.995, shorter=1.0)
    elif family == "noformat":
        setting = replace(setting, format_logged=False, strict=False)
    longest = course.start_length * np.exp(max(course.growth, 0))
    return replace(setting, limit=float(longest * setting.limit)), course


def _rise(rng: Rng, kind: Kind) -> tuple[float, float]:
    """Return where format rises and how wide the rise is, in steps: over well before the truth."""
    if kind.width:
        return 150.0, kind.width
    if kind.truth == 50:
        return float(rng.uniform(12, 20)), float(rng.uniform(8, 14))
    if kind.truth:
        return float(rng.uniform(80, 220)), float(rng.uniform(8, 44))
    return float(rng.uniform(60, 600)), float(np.exp(rng.uniform(np.log(8), np.log(120))))


def _growing(rng: Rng, course: Course) -> Course:
    """Return an R1-like course: answers grow 1.5 to 4 times as skill does, half of them after a fall."""
    return replace(
        course,
        growth=float(np.log(rng.uniform(1.5, 4))),
        dip=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.5 else 0.0,
        learnt=float(rng.uniform(1.0, 2.5)),
        shorter=float(rng.uniform(0.8, 1.0)),
    )


def _tina(rng: Rng, setting: Setting, course: Course) -> tuple[Setting, Course]:
    """Return Tina's regime: 3,584 tokens, about half of the answers cut, format .2 to .45 of 1."""
    prompts, group = ((8, 4), (8, 6))[rng.integers(2)]
    setting = replace(
        setting, prompts=prompts, group=group, limit=3584.0, format_levels=1, strict=False,
        problems=7000, format_sd=0.6, within_sd=0.4, length_sd=0.4,
    )  # fmt: skip
    course = replace(
        course, low=float(rng.uniform(0.36, 0.42)), high=float(rng.uniform(0.62, 0.72)),
        start_length=float(rng.uniform(3500, 3900)), shorter=float(rng.uniform(0.72, 0.8)),
        width=float(rng.uniform(20, 80)), rise=float(rng.uniform(80, 220)),
        skill=float(rng.uniform(-1, 0)), learnt=0.4,
    )  # fmt: skip
    return setting, course


def troubled(rng: Rng, kind: Kind, state: State) -> State:
    """Return the state of a healthy run with what befalls it: harder stretches, dips that heal."""
    if kind.name == "harder":
        return _harder(rng, state)
    if kind.name == "odd_data":
        return _odd_data(rng, state)
    return _dips(rng, state) if kind.name == "dips" else state


def _harder(rng: Rng, state: State) -> State:
    """Return 1 to 3 harder stretches of data; what they cost is learnt again in part."""
    steps = np.arange(1, len(state.format) + 1, dtype=float)
    for begin in np.sort(rng.uniform(0.2, 0.9, rng.integers(1, 4))) * len(steps):
        ago = np.maximum(0, steps - begin)
        left = (ago > 0) * (0.4 + 0.6 * np.exp(-ago / rng.uniform(60, 200)))
        state = state.plus(
            harder=rng.uniform(0.4, 1.2) * left,
            length=rng.uniform(0.1, 0.35) * left,
            format=-rng.uniform(0, 0.4) * left,
            entropy=rng.uniform(0, 0.15) * left,
        )
    return state


def _odd_data(rng: Rng, state: State) -> State:
    """Return 1 to 3 stretches of 10 to 60 steps of odd problems; the policy is as good as before in them."""
    steps = np.arange(1, len(state.format) + 1, dtype=float)
    for begin in rng.uniform(0.35, 0.95, rng.integers(1, 4)) * len(steps):
        there = (steps > begin) & (steps <= begin + rng.uniform(10, 60))
        state = state.plus(odd=rng.uniform(0.5, 1.5) * there, harder=rng.uniform(0.5, 1.5) * there)
    return state


def _dips(rng: Rng, state: State) -> State:
    """Return 1 to 3 transients of the policy, each healed after 10 to 60 steps; held-out skill dips, too."""
    steps = np.arange(1, len(state.format) + 1, dtype=float)
    for begin in rng.uniform(0.35, 0.95, rng.integers(1, 4)) * len(steps):
        u = (steps - begin) / rng.uniform(10, 60)
        shape = np.where((u > 0) & (u < 1), np.sin(np.pi * np.sqrt(np.clip(u, 0, 1))) ** 2, 0)
        state = state.plus(
            format=-rng.uniform(1, 2.5) * shape,
            skill=-rng.uniform(0.3, 1) * shape,
            length=rng.uniform(0.05, 0.3) * shape,
            entropy=rng.uniform(0, 0.4) * shape,
        )
    return state


# --------------------------------------------------------------------------------- the transitions


def _over(u: Array, steps: float) -> Array:
    """Return a ramp from 0 to 1 over a number of steps, 0 before the truth."""
    ramp: Array = np.clip(u / max(steps, 1.0), 0, 1)
    return ramp


def _fall(size: float, quick: bool) -> Change:
    """Return a fall of format with length turning up, at once or as a ramp; half of them in accuracy, too."""

    def change(rng: Rng, setting: Setting, state: State, u: Array) -> State:
        room = min(1.0, len(u) / 1000)  # a run of 500 steps has quicker ramps
        ramp = rng.uniform(60, 120) * room
        falls = _over(u, rng.uniform(1, 12) if quick else ramp)
        turns = _over(u, rng.uniform(20, 80) * room if quick else ramp)
        return state.plus(
            format=-size * rng.uniform(0.9, 1.3) * falls,
            length=size * rng.uniform(0.15, 0.25) * turns,
            skill=-size * (0.4 if rng.random() < 0.5 else 0.0) * falls,
            entropy=size * rng.uniform(0.1, 0.3) * turns,
            gap=0.7 * size * falls,
        )

    return change


def _shaking(size: float) -> Change:
    """Return format that jumps from step to step, with length turning up a little."""

    def change(rng: Rng, setting: Setting, state: State, u: Array) -> State:
        begun = (u > 0).astype(float)
        return state.plus(
            shake=size * rng.uniform(0.9, 1.3) * begun,
            length=size * 0.1 * _over(u, rng.uniform(20, 80)),
            gap=0.6 * size * begun,
        )

    return change


def _to_cap(rng: Rng, setting: Setting, state: State, u: Array) -> State:
    """Return answers that grow until most are cut; format and accuracy fall because of it."""
    reach = np.log(setting.limit) + rng.uniform(0.1, 0.5) - state.length[-1]
    return state.plus(
        length=reach * _over(u, rng.uniform(60, 250)), gap=0.3 * _over(u, rng.uniform(60, 250))
    )


def _hack(rng: Rng, setting: Setting, state: State, u: Array) -> State:
    """Return accuracy that falls alone, as where format or length is gamed."""
    lost = rng.uniform(1.0, 2.5) * _over(u, rng.uniform(20, 100))
    return state.plus(skill=-lost)


def _silent(rng: Rng, setting: Setting, state: State, u: Array) -> State:
    """Return a policy that goes silent: entropy and length fall away, groups repeat one answer."""
    gone = _over(u, rng.uniform(60, 150))
    return state.plus(
        entropy=np.log(rng.uniform(0.02, 0.1)) * gone,
        length=np.log(rng.uniform(0.15, 0.4)) * gone,
        copies=rng.uniform(0.85, 0.98) * gone,
        skill=-rng.uniform(0.5, 1.5) * gone,
    )


def _tina_falls(rng: Rng, setting: Setting, state: State, u: Array) -> State:
    """Return answers that grow into the limit and format that falls back; accuracy falls little."""
    falls = _over(u, rng.uniform(20, 100))
    return state.plus(
        format=-rng.uniform(0.4, 0.9) * falls,
        length=rng.uniform(0.1, 0.2) * falls,
        gap=rng.uniform(0.4, 0.8) * falls,
    )


def _twelve_points(rng: Rng, setting: Setting, state: State, u: Array) -> State:
    """Return format .97 to .85 in 10 steps (1.74 logits) with length turning up 20 % in 100."""
    return state.plus(
        format=-1.74 * _over(u, 10), length=0.18 * _over(u, 100), gap=0.7 * _over(u, 10)
    )


def _positives() -> list[Kind]:
    makers = {
        "drop": lambda s: _fall(s, quick=True),
        "ramp": lambda s: _fall(s, quick=False),
        "variance": _shaking,
    }
    return [
        Kind(
            f"{shape}_{size}_{truth}", "positive", steps, truth, change=make(SIZES[size]), size=size
        )
        for shape, make in makers.items()
        for truth, steps in PLACES.items()
        for size in SIZES
    ]


KINDS = {
    kind.name: kind
    for kind in (
        *(Kind(name, "steady") for name in ("steady", "growing", "saturated", "noformat")),
        Kind("tina_steady", "steady", 875),
        *(Kind(name, "hard") for name in ("harder", "wander", "dips")),
        Kind(
            "odd_data", "odd"
        ),  # beside the kinds: what only a look at held-out problems can tell
        *_positives(),
        Kind("cap_450", "positive", 1000, 450, change=_to_cap),
        Kind("hack_450", "positive", 1000, 450, change=_hack),
        Kind("silent_450", "positive", 1000, 450, change=_silent),
        Kind("tina_450", "positive", 875, 450, change=_tina_falls),
        *(
            Kind(f"sharp_{width}", "positive", 1000, 450, float(width), _twelve_points)
            for width in SHARP
        ),
    )
}
