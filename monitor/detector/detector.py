"""The online detector: a pure fold from samples to verdicts.

>>> shape = RunShape(completions_per_point=48)
>>> detector = Detector(shape)
>>> for step in range(1, 201):
...     up, late = min(step / 40, 1.0), step > 120
...     wobble = 0.02 * (-1) ** step
...     verdict = detector.update(Sample(step, {
...         "format_reward": 0.4 + 0.5 * up - 0.25 * late + wobble,
...         "completion_length": 900 - 300 * up + 200 * late + 5 * wobble,
...     }))
>>> verdict.phase, abs(verdict.transition.step - 120) <= 2
('past', True)
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from monitor.detector import constants
from monitor.detector.cautions import LastMeasured, cautions, no_rewards, none_seen, too_few
from monitor.detector.collapse import CollapseWatch, Failure
from monitor.detector.explain import evidence_of, sources
from monitor.detector.findings import Findings
from monitor.detector.format_rise import Crossing, FormatLevel, RiseWatch
from monitor.detector.presets import PRESETS
from monitor.detector.scan.dating import DatedChange, dated_change
from monitor.detector.scan.gates import open_gates
from monitor.detector.scan.scan import Scan, StepEvidence
from monitor.detector.scan.state import ROWS
from monitor.detector.signal.metrics import (
    ACCURACY,
    ENTROPY,
    FORMAT,
    LENGTH,
    METRICS,
    VOLATILITY,
    measured,
)
from monitor.detector.signal.transform import EVERY_STEP
from monitor.detector.silence import SilenceWatch
from monitor.detector.types import (
    ChangePoint,
    Phase,
    RunShape,
    Sample,
    State,
    Transition,
    Verdict,
)

_OF_COMPLETIONS = (
    "format_reward",
    "accuracy_reward",
    "completion_length",
    "reward",
    "reward_std",
)

TOKEN_ACCURACY = ("mean_token_accuracy", "token_acc")  # of TRL's SFTTrainer, and of ms-swift's


def _spread(metrics: Mapping[str, float]) -> float | None:
    """Return how much there is to learn from: the share of groups whose rewards differ, or their spread."""
    alike = measured(metrics, "frac_reward_zero_std")
    return measured(metrics, "reward_std") if alike is None else 1 - alike


class Detector:
    """Folds the samples of one run, steps strictly increasing, into a verdict after each.

    The verdict of a prefix never depends on what comes later; the same samples give the same
    verdicts; work and memory per step are bounded. A confirmed transition keeps its date.
    """

    def __init__(self, shape: RunShape, preset: str = "default") -> None:
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
        self._shape = shape
        self._preset = PRESETS[preset]
        self._last_step: int | None = None
        self._findings = Findings()
        self._collapsed = False
        self._completes = False  # whether anything of completions was ever measured
        self._accurate = False  # whether an accuracy of tokens was ever measured
        self._uncertain = False  # whether entropy was ever measured
        self._supervised = False
        self._sentence, self._said_at = "", 0
        self._changed_at: int | None = None  # the first step after the last boundary
        self._accepted: int | None = None  # the step of the last acceptance since then
        self._scan = Scan(shape, self._preset.confirm)
        self._level, self._rescaled = FormatLevel(), 0
        self._rise, self._rose_at = RiseWatch(), 0
        self._collapse, self._silence = CollapseWatch(), SilenceWatch()
        self._last_measured = LastMeasured()
        self._moment: StepEvidence | None = None

    def boundary(self) -> None:
        """Compare with nothing before a change of the data. Confirmed findings stay."""
        self._findings.drop()
        self._compare_from_now(new_data=True)
        self._changed_at = None if self._last_step is None else self._last_step + 1
        self._accepted = None

    def accept(self) -> None:
        """Take the present level as harmless: held-out scores found the weights not worse.

        What was suspected or confirmed is recorded as `refuted`, and only a change after this point
        counts from now on. Noise, open gates and the level of format are kept: a new change needs
        points on either side of it (16 in a log of every step), and nothing else.
        """
        said = f" Held-out scores at step {self._now} did not show that the weights are worse."
        self._findings.refute(said)
        self._collapsed = False
        self._compare_from_now(new_data=False)
        self._accepted = self._last_step

    def _compare_from_now(self, *, new_data: bool) -> None:
        self._scan.compare_from_now(new_data=new_data)
        self._collapse, self._silence = CollapseWatch(), SilenceWatch()
        self._moment = None

    def update(self, sample: Sample) -> Verdict:
        """Add the next sample and return the verdict after it.

        Raises ValueError if the step is not greater than the last one.
        """
        if self._last_step is not None and sample.step <= self._last_step:
            raise ValueError(
                f"step {sample.step} came after step {self._last_step}; sort the samples, or fold again"
            )
        self._last_step = sample.step
        raws = [measured(sample.metrics, metric.name) for metric in METRICS]
        raws[VOLATILITY] = None
        self._scan.add(sample.step, raws)
        self._last_measured.add(sample.step, raws)
        open_gates(self._scan)
        self._follow_format(raws[FORMAT])
        moment = self._moment = self._look()
        if self._findings.open:
            self._judge(moment)
        self._watch_collapse(sample.metrics, raws)
        return self._verdict(moment, sample.metrics)

    def _look(self) -> StepEvidence | None:
        """Return the present evidence; while it is low the scan is read at every second point only."""
        least = min(self._needed_points, constants.LEVEL * self._scan.point_weight)
        if self._scan.compared < least:
            return None
        last, quiet = self._moment, self._preset.watch * constants.DIES_OUT
        if (
            last
            and last.score < quiet
            and self._scan.size % 2
            and self._scan.point_weight == EVERY_STEP
        ):
            return last
        return self._scan.best()

    @property
    def _needed_points(self) -> int:
        """Points without which nothing can be said: 24 of a run, later 8 on either side of a change."""
        restarted = self._scan.compared < self._scan.size
        return constants.SIDE + self._scan.least if restarted else constants.LEVEL

    @property
    def _too_few(self) -> bool:
        return self._scan.compared < self._needed_points

    def _judge(self, moment: StepEvidence | None) -> None:
        if moment is None or moment.score < self._preset.watch * constants.DIES_OUT:
            self._findings.fade(
                f" The evidence reached {self._findings.best:.0f} of {self._preset.confirm:.0f} and had"
                f" died out by step {self._now}."
            )
        elif self._confirms(moment):
            self._date("confirmed", moment)
        elif moment.score >= self._preset.watch and moment.score > self._findings.best * 1.1:
            self._date("provisional", moment)

    def _confirms(self, moment: StepEvidence) -> bool:
        """Return whether the evidence justifies a stop, and is no burst of bad batches that is over."""
        enough = self._followed(moment) >= constants.FOLLOWED * self._scan.point_weight
        return enough and self._scan.still(moment) >= self._preset.confirm

    def _confirming(self, moment: StepEvidence | None) -> float | None:
        """Return the score that would confirm now, None while none would: the inverse of `_confirms`."""
        if moment is None or moment.score < self._preset.watch:
            return self._preset.confirm
        if self._followed(moment) < constants.FOLLOWED * self._scan.point_weight:
            return None
        still = self._scan.still(moment)
        return self._preset.confirm * moment.score / still if still > 0 else None

    def _followed(self, moment: StepEvidence) -> int:
        return self._scan.size - moment.index

    def _date(self, state: State, moment: StepEvidence | None) -> None:
        dated = dated_change(self._scan, self._now, state)
        if dated is None:
            return
        if moment:
            self._findings.suspect(dated, moment.score)
        self._take(dated, moment)

    def _take(self, dated: DatedChange, moment: StepEvidence | None) -> None:
        self._findings.take(dated)
        self._sentence = f"{dated.words} {self._sum(moment)}" if moment else dated.words
        self._said_at = self._now

    @property
    def _now(self) -> int:
        return self._last_step or 0

    def _sum(self, moment: StepEvidence) -> str:
        confirm, waits = f"confirmed at {self._preset.confirm:.0f}", ""
        if moment.score >= self._preset.confirm and not self._confirms(moment):
            least = math.ceil(constants.FOLLOWED * self._scan.point_weight)
            waits = f" if it lasts: {self._followed(moment)} of {least} points have followed"
        return f"Evidence {moment.score:.0f} ({sources(moment)}; {confirm}{waits})."

    def _follow_format(self, raw: float | None) -> None:
        self._rise.add(math.nan if raw is None else raw)
        if raw is None:
            return
        if self._scan.rescaled != self._rescaled:
            self._follow_again()
        index, unit = self._scan.size - 1, self._scan.readings[FORMAT].scale.unit
        self._level.add(index, float(self._scan.history.recent(1)[FORMAT, 0]), unit)
        self._scan.settled_from = self._level.near_high_at
        if self._scan.armed[FORMAT] is None:
            return
        if self._level.high_at == index or not self._scan.armed[VOLATILITY]:
            self._scan.armed[VOLATILITY] = self._scan.mark(VOLATILITY, self._level.high_at)
        if self._scan.improved_at[FORMAT] is not None:
            self._date_rise()

    def _follow_again(self) -> None:
        """Follow the level of format anew: its range turned out to be another one."""
        self._rescaled, self._level = self._scan.rescaled, FormatLevel()
        past = self._scan.history.recent(self._scan.size)[FORMAT][:-1]
        for index, value in enumerate(past.tolist(), self._scan.size - 1 - len(past)):
            if math.isfinite(value):
                self._level.add(index, value, self._scan.readings[FORMAT].scale.unit)

    def _date_rise(self) -> None:
        self._rose_at = self._rose_at or self._scan.size
        long_ago = self._scan.size - self._rose_at >= constants.LEVEL
        settled = long_ago and self._level.settled(self._scan.size)
        over = self._scan.size - self._level.high_at if settled else 0
        known = self._findings.found.get("onset")
        rise = self._rise.due(over, again=self._findings.transition is None)
        if rise and (over or known is None or known.state == "provisional"):
            self._note_rise("onset", rise.onset, "confirmed" if over else "provisional")
            if over:
                self._note_rise("saturation", rise.saturation, "confirmed")

    def _note_rise(self, kind: Literal["onset", "saturation"], at: Crossing, state: State) -> None:
        """Record a change point of the rise; dated again, it keeps its first `seen_at_step` if possible."""
        step, low, high = (self._scan.history.step(index) for index in at)
        words = {
            "onset": f"The format reward rose around step {step} (likely {low}-{high}).",
            "saturation": f"The format reward had settled by step {step} (likely {low}-{high}).",
        }[kind]
        known = self._findings.found.get(kind)
        seen = known.seen_at_step if known and known.seen_at_step >= step else self._now
        self._findings.found[kind] = ChangePoint(kind, step, low, high, state, seen, {}, words)

    def _watch_collapse(self, metrics: Mapping[str, float], raws: list[float | None]) -> None:
        values = [self._share(FORMAT, raws), self._share(ACCURACY, raws), *raws[LENGTH:]]
        self._supervised = self._is_supervised(metrics)
        if self._supervised:  # the entropy of examples learnt by heart is 0, as it should be
            values[ENTROPY] = None
        failure = self._collapse.add(
            values,
            measured(metrics, "clipped_ratio"),
            self._shape.completion_limit_tokens,
            self._scan.point_weight,
        )
        quiet = self._silence.add(raws[ENTROPY], raws[LENGTH], _spread(metrics))
        failure = failure or quiet
        if failure and not self._collapsed:
            self._collapsed = True
            self._note_collapse(failure)

    def _is_supervised(self, metrics: Mapping[str, float]) -> bool:
        """Return whether a loss is logged, with a sign that it is learnt from examples, and nothing of rewards.

        The sign is the accuracy of tokens, or that no entropy is logged: loops with rewards log it, and so does TRL's
        SFTTrainer, but with that accuracy; transformers' Trainer logs neither.
        """

        def any_of(names: Iterable[str]) -> bool:
            return any(measured(metrics, name) is not None for name in names)

        self._completes = self._completes or any_of(_OF_COMPLETIONS)
        self._accurate = self._accurate or any_of(TOKEN_ACCURACY)
        self._uncertain = self._uncertain or any_of(["entropy"])
        if self._completes or self._shape.rewarded:
            return False
        return (self._accurate or not self._uncertain) and any_of(["loss"])

    def _share(self, row: int, raws: list[float | None]) -> float | None:
        """Return a reward as a share of its range; 0.5 for a guessed range, so it never counts as gone."""
        raw, scale = raws[row], self._scan.readings[row].scale
        if raw is None:
            return None
        if scale.guessed:
            return 0.5
        return (raw - scale.range.low) / max(scale.range.high - scale.range.low, 1e-9)

    def _note_collapse(self, failure: Failure) -> None:
        steps, began = self._scan.history.step, self._scan.size - failure.points
        step, low = steps(began - 1), steps(began - constants.LEVEL // 2)
        if self._findings.open:
            self._date("confirmed", None)
        if self._findings.open:
            self._findings.transition = Transition(
                step, low, self._now, max(low - 1, 0), self._now, "confirmed"
            )
        sentence = f"The run collapsed by step {self._now}: {failure.words}."
        self._findings.found["collapse"] = ChangePoint(
            "collapse", step, low, self._now, "confirmed", self._now, {}, sentence
        )

    def _phase(self) -> Phase:
        if self._collapsed:
            return "collapsed"
        if self._findings.transition:
            return "past" if self._findings.transition.state == "confirmed" else "turning"
        # Where format is not measured its gate never opens, and the phase stays unknown.
        if self._scan.armed[FORMAT] is None or (self._too_few and not self._accepted):
            return "warming_up"
        return "adapted" if self._level.settled(self._scan.size) else "adapting"

    def _verdict(self, moment: StepEvidence | None, metrics: Mapping[str, float]) -> Verdict:
        phase = self._phase()
        score = moment.score if moment else 0.0
        return Verdict(
            self._now,
            phase,
            score,
            self._preset.watch,
            self._preset.confirm,
            tuple(
                evidence_of(
                    row,
                    moment,
                    self._scan,
                    self._last_measured.ended_at(row),
                    self._collapse.at_limit,
                )
                for row in range(ROWS)
            ),
            self._findings.change_points,
            self._findings.transition,
            self._words(phase, score, metrics),
            self._confirming(moment),
        )

    def _words(self, phase: Phase, score: float, metrics: Mapping[str, float]) -> str:
        if phase == "collapsed":
            return self._findings.found["collapse"].words
        if phase in ("past", "turning"):
            return f"{self._sentence}{self._since_said(score)}"
        if self._supervised:
            return no_rewards(self._now)
        if self._too_few:
            since = self._changed_at
            what = f" since the data changed at step {since}" if since is not None else ""
            if self._accepted:
                what = f" since the held-out scores of step {self._accepted}"
            said = too_few(self._now, self._scan.compared, self._needed_points, what)
        else:
            high_at = None
            if phase in ("adapting", "adapted"):
                high_at = self._scan.history.step(self._level.high_at)
            said = none_seen(self._now, score, self._preset.confirm, self._last_measured, high_at)
        more = (said, self._last_measured.missing(), cautions(self._now, metrics))
        return " ".join(part for part in more if part)

    def _since_said(self, score: float) -> str:
        """Return the date and the present evidence if the transition's sentence is of an earlier step."""
        if self._said_at == self._now:
            return ""
        if self._changed_at is not None and self._changed_at > self._said_at:
            now = f"the data changed at step {self._changed_at}"
        else:
            now = f"at step {self._now} the evidence is {score:.0f}"
        return f" That was said at step {self._said_at}; {now}."
