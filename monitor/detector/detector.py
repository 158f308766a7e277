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
from dataclasses import replace
from typing import Literal

from monitor.detector.cautions import LastMeasured, cautions, none_seen, too_few
from monitor.detector.collapse import CollapseWatch, Failure
from monitor.detector.explain import change, sources, why_not_armed
from monitor.detector.format_rise import Crossing, FormatLevel, RiseWatch
from monitor.detector.presets import PRESETS
from monitor.detector.scan.contrast import LEAST_POINTS
from monitor.detector.scan.dating import DatedChange, dated_change
from monitor.detector.scan.gates import open_gates
from monitor.detector.scan.scan import ROWS, Scan, StepEvidence
from monitor.detector.signal.metrics import ACCURACY, FORMAT, LENGTH, METRICS, VOLATILITY, measured
from monitor.detector.signal.transform import EVERY_STEP
from monitor.detector.types import (
    ChangePoint,
    Evidence,
    Kind,
    Phase,
    RunShape,
    Sample,
    State,
    Transition,
    Verdict,
)

_LEAST_POINTS = 24  # by judgement; the gates wait as long
_DIES_OUT = 0.5  # of `watch`; by judgement
_SUSPECT = 0.5  # of `confirm`; of 9 dated turns in real logs, two reached 17 and 22 of 33 and faded
_MOST_CLOSED = 8  # kept change points, to bound a verdict; by judgement
_LONG = 64.0  # points after a change from which on `confirm` itself is enough; decision 0008
_OF_A_CHANGE: tuple[Kind, ...] = ("length_turn", "destabilisation", "collapse")
_QUIET = tuple(
    Evidence(metric.name, 0.0, 0.0, True, f"{metric.label} shows no change for the worse")
    for metric in METRICS
)


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
        self._found: dict[Kind, ChangePoint] = {}
        self._transition: Transition | None = None
        self._collapsed = False
        self._best_seen = 0.0
        self._suspected: tuple[ChangePoint, ...] = ()
        self._closed: tuple[ChangePoint, ...] = ()  # faded and refuted
        self._sentence, self._said_at = "", 0
        self._changed_at: int | None = None  # the first step after the last boundary
        self._accepted: int | None = None  # the step of the last acceptance since then
        self._scan = Scan(shape, self._preset.confirm)
        self._level = FormatLevel()
        self._rise = RiseWatch()
        self._collapse = CollapseWatch()
        self._last_measured = LastMeasured()
        self._moment: StepEvidence | None = None

    def boundary(self) -> None:
        """Compare with nothing before a change of the data. Confirmed findings stay."""
        self._drop_provisional()
        self._compare_from_now(new_data=True)
        self._collapse = CollapseWatch()
        self._changed_at = None if self._last_step is None else self._last_step + 1
        self._accepted = None

    def accept(self) -> None:
        """Take the present level as harmless: held-out scores found the weights not worse.

        What was suspected or confirmed is recorded as `refuted`, and only a change after this point
        counts from now on. Noise, open gates and the level of format are kept: a new change needs
        points on either side of it (16 in a log of every step), and nothing else.
        """
        said = f" Held-out scores at step {self._now} did not show that the weights are worse."
        if self._transition or self._collapsed:
            refuted = tuple(self._found[kind] for kind in _OF_A_CHANGE if kind in self._found)
        else:
            refuted = self._suspected
        self._close(refuted, "refuted", said)
        self._best_seen, self._suspected = 0.0, ()
        self._transition = None
        self._forget_change()
        if self._collapsed:
            self._collapsed = False
            self._collapse = CollapseWatch()
        self._compare_from_now(new_data=False)
        self._accepted = self._last_step

    def _compare_from_now(self, *, new_data: bool) -> None:
        self._scan.compare_from_now(new_data=new_data)
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
        if self._transition is None or self._transition.state == "provisional":
            self._judge(moment)
        self._watch_collapse(sample.metrics, raws)
        return self._verdict(moment, sample.metrics)

    def _look(self) -> StepEvidence | None:
        """Return the present evidence; while it is low the scan is read at every second point only."""
        if self._scan.compared < min(self._needed_points, _LEAST_POINTS * self._scan.point_weight):
            return None
        last, quiet = self._moment, self._preset.watch * _DIES_OUT
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
        """Points without which nothing can be said: 24 of a run, later on one side and the other of a change."""
        restarted = self._scan.compared < self._scan.size
        return LEAST_POINTS + self._scan.least if restarted else _LEAST_POINTS

    @property
    def _too_few(self) -> bool:
        return self._scan.compared < self._needed_points

    def _judge(self, moment: StepEvidence | None) -> None:
        score = moment.score if moment else 0.0
        if moment and score >= self._needed(moment):
            self._date("confirmed", moment)
        elif score >= self._preset.confirm * _SUSPECT:
            self._suspect(moment, score)
        elif score < self._preset.watch * _DIES_OUT:
            if self._suspected:
                self._fade()
            self._drop_provisional()

    def _needed(self, moment: StepEvidence) -> float:
        """Return the evidence that confirms: more while few points have followed the change.

        A run has many short stretches, so the greatest score among them is greater by chance, by
        2 log(n / length): the scale penalty of Dümbgen and Spokoiny (2001, Ann. Statist. 29). A burst of
        bad batches is such a stretch.
        """
        return self._preset.confirm + max(
            0.0, 2 * math.log(_LONG * self._scan.point_weight / self._followed(moment))
        )

    def _followed(self, moment: StepEvidence) -> int:
        return self._scan.size - moment.index

    def _suspect(self, moment: StepEvidence | None, score: float) -> None:
        """Date the suspected change when its evidence has grown; from `watch` on show it as provisional."""
        shown = score >= self._preset.watch
        if score <= self._best_seen * 1.1 and not (shown and self._transition is None):
            return
        dated = dated_change(self._scan, self._now, "provisional")
        if dated is None:
            return
        self._best_seen, self._suspected = score, dated.changes
        if shown:
            self._take(dated, moment)

    def _fade(self) -> None:
        """Record the suspected changes as faded: their evidence died out."""
        gone = (
            f" The evidence reached {self._best_seen:.0f} of {self._preset.confirm:.0f} and had died"
            f" out by step {self._now}."
        )
        self._close(self._suspected, "faded", gone)

    def _close(self, changes: Iterable[ChangePoint], state: State, said: str) -> None:
        new = (replace(one, state=state, words=one.words + said) for one in changes)
        self._closed = (*self._closed, *new)[-_MOST_CLOSED:]

    def _drop_provisional(self) -> None:
        self._best_seen, self._suspected = 0.0, ()
        if self._transition and self._transition.state == "provisional":
            self._transition = None
            self._forget_change()

    def _forget_change(self) -> None:
        for kind in _OF_A_CHANGE:
            if kind != "collapse" or not self._collapsed:
                self._found.pop(kind, None)

    def _date(self, state: State, moment: StepEvidence | None) -> None:
        if dated := dated_change(self._scan, self._now, state):
            self._take(dated, moment)

    def _take(self, dated: DatedChange, moment: StepEvidence | None) -> None:
        """Make this the current transition."""
        self._transition = dated.transition
        self._sentence = f"{dated.words} {self._sum(moment)}" if moment else dated.words
        self._said_at = self._now
        self._forget_change()
        self._found.update({one.kind: one for one in dated.changes})

    @property
    def _now(self) -> int:
        return self._last_step or 0

    def _sum(self, moment: StepEvidence) -> str:
        needed, few = self._needed(moment), ""
        if needed > self._preset.confirm:
            few = f", as only {self._followed(moment)} points have followed"
        return f"Evidence {moment.score:.0f} ({sources(moment)}; confirmed at {needed:.0f}{few})."

    def _follow_format(self, raw: float | None) -> None:
        self._rise.add(math.nan if raw is None else raw)
        if self._scan.armed[FORMAT] is None or raw is None:
            return
        index, unit = self._scan.size - 1, self._scan.readings[FORMAT].scale.unit
        self._level.add(index, float(self._scan.history.recent(1)[FORMAT, 0]), unit)
        self._scan.settled_from = self._level.high_at
        if self._level.high_at == index or not self._scan.armed[VOLATILITY]:
            self._scan.armed[VOLATILITY] = self._scan.mark(VOLATILITY, self._level.high_at)
        if self._scan.improved_at[FORMAT] is not None:
            self._date_rise()

    def _date_rise(self) -> None:
        settled = self._level.settled(self._scan.size)
        over = self._scan.size - self._level.high_at if settled else 0
        known = self._found.get("onset")
        rise = self._rise.due(over, again=self._transition is None)
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
        known = self._found.get(kind)
        seen = known.seen_at_step if known and known.seen_at_step >= step else self._now
        self._found[kind] = ChangePoint(kind, step, low, high, state, seen, {}, words)

    def _watch_collapse(self, metrics: Mapping[str, float], raws: list[float | None]) -> None:
        values = [self._share(FORMAT, raws), self._share(ACCURACY, raws), *raws[LENGTH:]]
        failure = self._collapse.add(
            values, measured(metrics, "clipped_ratio"), self._shape.completion_limit_tokens
        )
        if failure and not self._collapsed:
            self._collapsed = True
            self._note_collapse(failure)

    def _share(self, row: int, raws: list[float | None]) -> float | None:
        """Return a reward as a share of its range; 0.5 for a guessed range, so it never counts as gone."""
        raw, scale = raws[row], self._scan.readings[row].scale
        if raw is None:
            return None
        if scale.linear and not scale.known:
            return 0.5
        return (raw - scale.range.low) / max(scale.range.high - scale.range.low, 1e-9)

    def _note_collapse(self, failure: Failure) -> None:
        steps, began = self._scan.history.step, self._scan.size - failure.points
        step, low = steps(began - 1), steps(began - _LEAST_POINTS // 2)
        if self._transition is None or self._transition.state == "provisional":
            self._date("confirmed", None)
        if self._transition is None or self._transition.state == "provisional":
            safe = max(low - 1, 0)
            self._transition = Transition(step, low, self._now, safe, self._now, "confirmed")
        sentence = f"The run collapsed by step {self._now}: {failure.words}."
        self._found["collapse"] = ChangePoint(
            "collapse", step, low, self._now, "confirmed", self._now, {}, sentence
        )

    def _phase(self) -> Phase:
        if self._collapsed:
            return "collapsed"
        if self._transition:
            return "past" if self._transition.state == "confirmed" else "turning"
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
            tuple(self._evidence(row, moment) for row in range(ROWS)),
            (*self._closed, *self._found.values()),
            self._transition,
            self._words(phase, score, metrics),
        )

    def _evidence(self, row: int, moment: StepEvidence | None) -> Evidence:
        name, reading = METRICS[row].name, self._scan.readings[row]
        armed = self._scan.armed[row] is not None
        if moment and moment.z[row] > 0:
            words = change(row, moment, reading)
            if row == LENGTH and self._collapse.at_limit:
                words += f", at its limit for {self._collapse.at_limit} points"
            return Evidence(name, moment.parts[row], moment.z[row], armed, words)
        if armed and (ended_at := self._last_measured.ended_at(row)) is not None:
            words = f"{METRICS[row].label} was last measured at step {ended_at}"
            return Evidence(name, 0.0, 0.0, True, words)
        if armed:
            return _QUIET[row]
        words = why_not_armed(row, reading, has_format=self._scan.readings[FORMAT].count > 0)
        return Evidence(name, 0.0, 0.0, False, words)

    def _words(self, phase: Phase, score: float, metrics: Mapping[str, float]) -> str:
        if phase == "collapsed":
            return self._found["collapse"].words
        if phase in ("past", "turning"):
            return f"{self._sentence}{self._since_said(score)}"
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
