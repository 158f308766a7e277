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

from collections.abc import Mapping
from typing import Literal

from monitor.detect.collapse import CollapseWatch
from monitor.detect.format_course import Crossing, FormatLevel, rise_in
from monitor.detect.gates import open_gates
from monitor.detect.metrics import ACCURACY, FORMAT, LENGTH, METRICS
from monitor.detect.presets import PRESETS
from monitor.detect.scan import ROWS, Date, Moment, Scan
from monitor.detect.verdict import (
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
from monitor.detect.words import change, joined, sources, why_not_armed

_LEAST_POINTS = 24
_DIES_OUT = 0.5
_LEAST_RISE = 0.06
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
        self._collapse_words: str | None = None
        self._best_seen = 0.0
        self._restart()

    def _restart(self) -> None:
        self._scan = Scan(self._shape, self._preset.confirm)
        self._level = FormatLevel()
        self._collapse = CollapseWatch()
        self._settled = False

    def boundary(self) -> None:
        """Start the scan anew: the data changed here. What is confirmed stays."""
        self._drop_provisional()
        self._restart()

    def update(self, sample: Sample) -> Verdict:
        """Take the next sample and return the verdict after it.

        Raises ValueError if the step is not greater than the last one.
        """
        if self._last_step is not None and sample.step <= self._last_step:
            raise ValueError(
                f"step {sample.step} came after step {self._last_step}; sort the samples, or fold again"
            )
        self._last_step = sample.step
        raws = [sample.metrics.get(metric.name) for metric in METRICS]
        self._scan.add(sample.step, raws)
        open_gates(self._scan)
        self._follow_format(raws[FORMAT])
        moment = self._scan.best() if self._scan.size >= _LEAST_POINTS else None
        if self._transition is None or self._transition.state == "provisional":
            self._judge(moment)
        self._watch_collapse(sample.metrics, raws)
        return self._verdict(moment)

    def _judge(self, moment: Moment | None) -> None:
        score = moment.score if moment else 0.0
        if score >= self._preset.confirm:
            self._date("confirmed")
        elif score >= self._preset.watch:
            if self._transition is None or score > self._best_seen * 1.1:
                self._date("provisional")
                self._best_seen = score
        elif score < self._preset.watch * _DIES_OUT:
            self._drop_provisional()

    def _drop_provisional(self) -> None:
        self._best_seen = 0.0
        if self._transition and self._transition.state == "provisional":
            self._transition = None
            for kind in ("length_turn", "destabilisation"):
                self._found.pop(kind, None)

    def _date(self, state: State) -> None:
        date = self._scan.date()
        if date is None:
            return
        steps = self._scan.history.step
        step, low, high = steps(date.index), steps(date.low), steps(date.high)
        self._transition = Transition(step, low, high, max(step - 1, 0), self._now, state)
        z = date.moment.z
        others = sum(value**2 for row, value in enumerate(z) if row != LENGTH)
        for kind in ("length_turn", "destabilisation"):
            self._found.pop(kind, None)
        if z[LENGTH] ** 2 >= 9:
            self._note("length_turn", date, state)
        if others >= 6:
            self._note("destabilisation", date, state)

    @property
    def _now(self) -> int:
        return self._last_step or 0

    def _note(self, kind: Kind, date: Date, state: State) -> None:
        steps = self._scan.history.step
        step, low, high = steps(date.index), steps(date.low), steps(date.high)
        evidence = {
            metric.name: round(z * z, 1)
            for metric, z in zip(METRICS, date.moment.z, strict=True)
            if z > 0
        }
        words = self._since(date.moment, step, low, high)
        self._found[kind] = ChangePoint(kind, step, low, high, state, self._now, evidence, words)

    def _since(self, moment: Moment, step: int, low: int, high: int) -> str:
        clauses = [
            change(row, moment, self._scan.readings[row])
            for row in range(ROWS)
            if moment.z[row] >= 1
        ]
        return f"Since step {step} (likely {low}-{high}) {joined(clauses)}."

    def _follow_format(self, raw: float | None) -> None:
        if self._scan.armed[FORMAT] is None or raw is None:
            return
        rose = self._scan.moved_well[FORMAT]
        if rose is not None and "onset" not in self._found:
            low, high = max(rose - 9, 0), min(rose + 8, self._scan.size - 1)
            self._note_rise("onset", Crossing(rose - 1, low, high), "provisional")
        index, unit = self._scan.size - 1, self._scan.readings[FORMAT].scale.unit
        self._level.add(index, float(self._scan.history.recent(1)[FORMAT, 0]), unit)
        settled = self._level.settled(self._scan.size)
        if settled and not self._settled and rose is not None:
            self._date_rise(unit)
        self._settled = settled

    def _date_rise(self, unit: float) -> None:
        """The rise is over: date it on what is remembered."""
        first = self._scan.history.first
        values = self._scan.history.recent(self._scan.size)[FORMAT]
        rise = rise_in(values, max(self._level.high_at - first, 0))
        if rise is None or rise.height < _LEAST_RISE * unit:
            return
        self._note_rise("onset", rise.onset.after(first), "confirmed")
        self._note_rise("saturation", rise.saturation.after(first), "confirmed")

    def _note_rise(self, kind: Literal["onset", "saturation"], at: Crossing, state: State) -> None:
        step, low, high = (self._scan.history.step(index) for index in at)
        words = {
            "onset": f"The format reward rose around step {step} (likely {low}-{high}).",
            "saturation": f"The format reward had settled by step {step} (likely {low}-{high}).",
        }[kind]
        self._found[kind] = ChangePoint(kind, step, low, high, state, self._now, {}, words)

    def _watch_collapse(self, metrics: Mapping[str, float], raws: list[float | None]) -> None:
        shares = list(raws)
        for row in (FORMAT, ACCURACY):
            raw = raws[row]
            if raw is not None:
                scale = self._scan.readings[row].scale
                shares[row] = scale.share(raw) if scale.linear else raw / (scale.range.high or 1.0)
        words = self._collapse.add(
            shares, metrics.get("clipped_ratio"), self._shape.completion_limit_tokens, 1
        )
        if words and not self._collapse_words:
            self._collapse_words = words
            self._note_collapse(words)

    def _note_collapse(self, words: str) -> None:
        if self._transition is None or self._transition.state == "provisional":
            self._date("confirmed")
        steps = self._scan.history.step
        step, low = steps(self._scan.size - 5), steps(self._scan.size - 13)
        sentence = f"The run collapsed by step {self._now}: {words}."
        self._found["collapse"] = ChangePoint(
            "collapse", step, low, self._now, "confirmed", self._now, {}, sentence
        )

    def _phase(self) -> Phase:
        if self._collapse_words:
            return "collapsed"
        if self._transition:
            return "past" if self._transition.state == "confirmed" else "turning"
        has_format = self._scan.readings[FORMAT].count > 0
        if self._scan.size < _LEAST_POINTS or (has_format and self._scan.armed[FORMAT] is None):
            return "warming_up"
        if not has_format:
            return "adapted" if self._scan.size >= 64 else "adapting"
        return "adapted" if self._settled else "adapting"

    def _verdict(self, moment: Moment | None) -> Verdict:
        phase = self._phase()
        score = moment.score if moment else 0.0
        return Verdict(
            self._now,
            phase,
            score,
            self._preset.watch,
            self._preset.confirm,
            tuple(self._evidence(row, moment) for row in range(ROWS)),
            tuple(self._found.values()),
            self._transition,
            self._words(phase, score, moment),
        )

    def _evidence(self, row: int, moment: Moment | None) -> Evidence:
        name, reading = METRICS[row].name, self._scan.readings[row]
        armed = self._scan.armed[row] is not None
        if moment and moment.z[row] > 0:
            words = change(row, moment, reading)
            return Evidence(name, moment.parts[row], moment.z[row], armed, words)
        if armed:
            return _QUIET[row]
        words = why_not_armed(row, reading, has_format=self._scan.readings[FORMAT].count > 0)
        return Evidence(name, 0.0, 0.0, False, words)

    def _words(self, phase: Phase, score: float, moment: Moment | None) -> str:
        if phase == "collapsed":
            return self._found["collapse"].words
        if phase in ("past", "turning"):
            kind: Kind = "destabilisation" if "destabilisation" in self._found else "length_turn"
            since = self._found[kind].words if kind in self._found else ""
            found = (
                f" ({sources(moment)}; confirmed at {self._preset.confirm:.0f})" if moment else ""
            )
            return f"{since} Evidence {score:.0f}{found}.".strip()
        if phase == "warming_up":
            if self._scan.size < _LEAST_POINTS:
                return f"{self._scan.size} points so far; {_LEAST_POINTS} are needed."
            return "The format reward has not begun to rise."
        state = "The format reward is still rising" if phase == "adapting" else "The run is steady"
        return f"{state}. Evidence for a transition {score:.0f} of {self._preset.confirm:.0f}."
