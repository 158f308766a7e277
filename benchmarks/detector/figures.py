"""Draws docs/images/*.svg for docs/explanation/detector.md from measured data; nothing is typed in.

    python -m benchmarks.detector.figures [--baselines FILE] [--cost FILE]

detector-run.svg        one real run of the zoo: metrics, phases, transition, stop and held-out score
detector-baselines.svg  false stops against detections (needs `baselines.py --json FILE`)
detector-cost.svg       cost of a step up to 100,000 steps (needs `cost.py --json FILE`)
"""

import argparse
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from benchmarks.zoo import zoo
from monitor.detector import RunShape, Sample
from monitor.replay.replay import Replay, replay

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
BANDS = {"adapting": "#e3eff7", "adapted": "#e2f2ee", "turning": "#f8ecd0", "past": "#f6e5ee",
         "collapsed": "#dddadd", "warming_up": "#f3f4f5"}  # fmt: skip
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#3c4753}.t{font-weight:600}"
    ".g{stroke:#d8dde3}.v{fill:none;stroke-width:1;opacity:.45}.a{fill:none;stroke-width:2}"
)
SHOWN = "tiny_s3"


def svg(name: str, width: int, height: int, parts: Sequence[str], title: str) -> None:
    """Write one picture on a white ground."""
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / name).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
    print(f"docs/images/{name}: {(IMAGES / name).stat().st_size / 1000:.1f} kB")


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return a text element."""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def polyline(points: Sequence[tuple[float, float]], kind: str, color: str) -> str:
    """Return a line."""
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" stroke="{color}" points="{drawn}"/>'


def smooth(values: Sequence[float], weight: float = 0.2) -> list[float]:
    """Return the causal running mean."""
    out, mean = [], values[0]
    for value in values:
        mean += weight * (value - mean)
        out.append(mean)
    return out


def run_figure() -> None:
    """One real run: what was logged, what Cusp said and when, what the checkpoints score."""
    case = zoo.read(zoo.ZOO / f"{SHOWN}.csv.gz")
    shape = RunShape(completions_per_point=48, completion_limit_tokens=64, save_steps=10)
    found = replay([Sample(s, m) for s, m in case.points], shape)
    width, left, right, top, high, gap = 760, 46, 14, 34, 88, 24
    rows = (
        ("format_reward", "format reward", "#0072b2"),
        ("completion_length", "completion length, tokens", "#c55a00"),
        ("accuracy_reward", "accuracy reward (training)", "#008268"),
        ("report", "held-out pass@1 of each checkpoint", "#18202a"),
    )
    bottom = top + len(rows) * (high + gap)

    def x(step: float) -> float:
        return left + (width - left - right) * step / case.last

    parts = _marks(found, x, top - 4, bottom - gap + 4)
    for row, (name, label, color) in enumerate(rows):
        pairs = (
            sorted(case.report.items())
            if name == "report"
            else [(s, m[name]) for s, m in case.points if name in m]
        )
        values = [v for _, v in pairs]
        least = 0.0 if max(values) <= 1 else min(values)
        most = 1.0 if max(values) <= 1 else max(values)
        base = top + row * (high + gap) + high

        def y(v: float, base: float = base, least: float = least, most: float = most) -> float:
            return base - (high - 16) * (v - least) / (most - least)

        parts += [text(left + 4, base - high + 10, label, "t")]
        parts += [text(left - 6, y(v) + 4, f"{v:.3g}", anchor="end") for v in (least, most)]
        parts.append(f'<path class="g" d="M{left} {base:.0f}H{width - right}"/>')
        line = [(x(s), y(v)) for s, v in pairs]
        if name == "report":
            parts.append(polyline(line, "a", color))
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>' for a, b in line]
        else:
            parts.append(polyline(line, "v", color))
            averaged = zip(pairs, smooth(values), strict=True)
            parts.append(polyline([(x(s), y(v)) for (s, _), v in averaged], "a", color))
    for step in range(0, case.last + 1, 50):
        parts.append(text(x(step), bottom - 4, str(step), anchor="middle"))
    svg("detector-run.svg", width, bottom + 4, parts, f"The zoo's run {SHOWN} with Cusp's verdict")


def _marks(found: Replay, x: object, top: float, bottom: float) -> list[str]:
    place = x if callable(x) else float
    parts = []
    for span in found.phases:
        a, b = place(span.from_step - 1), place(span.to_step)
        parts.append(
            f'<rect x="{a:.1f}" y="{top}" width="{b - a:.1f}" height="{bottom - top}"'
            f' fill="{BANDS[span.phase]}"/>'
        )
        if b - a > 55:
            parts.append(
                text((a + b) / 2, bottom - 4, span.phase.replace("_", " "), anchor="middle")
            )
    t = found.transition
    if t:
        a, b = place(t.low), place(t.high)
        parts.append(
            f'<rect x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" height="{bottom - top}"'
            ' fill="#a3195b" opacity=".18"/>'
        )
        parts.append(_upright(place(t.step), top, bottom, "#a3195b", ""))
        parts.append(text(place(t.step) - 4, top - 6, f"transition {t.step}", anchor="end"))
    if found.stop_step is not None:
        parts.append(_upright(place(found.stop_step), top, bottom, "#3c4753", "4 3"))
        parts.append(text(place(found.stop_step) + 4, top - 6, f"stop {found.stop_step}"))
    return parts


def _upright(x: float, top: float, bottom: float, color: str, dash: str) -> str:
    return (
        f'<path d="M{x:.1f} {top}V{bottom}" stroke="{color}" stroke-width="1.5"'
        f' stroke-dasharray="{dash}"/>'
    )


def baselines_figure(file: Path) -> None:
    """False stops of null runs against detections of positive ones, at default and best settings."""
    found = json.loads(file.read_text())["synthetic"]
    cases = [Case(c["name"], [(c["last"], {})], c["kind"], c["truth"]) for c in found["cases"]]
    width, height, left, base = 640, 360, 60, 310
    parts = [
        text(left, 20, "synthetic runs: null runs stopped against transitions detected", "t"),
        text(width / 2, height - 8, "null runs stopped, %", anchor="middle"),
    ]
    for tick in range(0, 101, 20):
        x, y = left + 5.2 * tick, base - 2.6 * tick
        parts.append(f'<path class="g" d="M{left} {y:.0f}H{width - 40}"/>')
        parts.append(text(left - 8, y + 4, f"{tick} %", anchor="end"))
        parts.append(text(x, base + 18, str(tick), anchor="middle"))
    for name, outcomes in found["outcomes"].items():
        pairs = [(c, Outcome(**o)) for c, o in zip(cases, outcomes, strict=True)]
        null = [o.stop is not None for c, o in pairs if c.kind == "null"]
        hits = [scoring.is_detected(c, o) for c, o in pairs if c.kind == "positive"]
        x = left + 520 * sum(null) / len(null)
        y = base - 260 * sum(hits) / len(hits)
        ours = name == "Cusp"
        color = "#a3195b" if ours else "#0072b2" if ", default" in name else "#8a97a4"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if ours else 4}" fill="{color}"/>')
        if ours or ", default" in name:
            end = x > width - 160
            parts.append(
                text(
                    x + (-9 if end else 9),
                    y + 4,
                    name.split(",")[0],
                    "t" if ours else "",
                    "end" if end else "start",
                )
            )
    parts.append(text(left + 300, 44, "blue: at the default people use"))
    parts.append(text(left + 300, 58, "grey: calibrated to 1 % of null runs"))
    svg("detector-baselines.svg", width, height, parts, "Baselines: false stops and detections")


def cost_figure(file: Path) -> None:
    """Microseconds a step on a logarithmic x axis."""
    steps = json.loads(file.read_text())["steps"]
    width, height, left, base = 640, 240, 60, 190
    most = 50 * math.ceil(max(us for _, us in steps) / 50)
    at = [(left + 270 * (math.log10(s) - 3), base - 150 * us / most, s, us) for s, us in steps]
    parts = [text(left, 20, "CPU time of one step, microseconds, four metrics", "t")]
    for tick in (0, most // 2, most):
        y = base - 150 * tick / most
        parts.append(f'<path class="g" d="M{left} {y:.0f}H{width - 20}"/>')
        parts.append(text(left - 8, y + 4, str(tick), anchor="end"))
    parts.append(polyline([(x, y) for x, y, _, _ in at], "a", "#0072b2"))
    for x, y, s, us in at:
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#0072b2"/>')
        parts.append(text(x, base + 18, f"{s // 1000}k", anchor="middle"))
        parts.append(text(x, y - 8, f"{us:.0f}", anchor="middle"))
    parts.append(text(width / 2, height - 8, "steps so far", anchor="middle"))
    svg("detector-cost.svg", width, height, parts, "Cost of a step against the length of the run")


def main() -> None:
    """Draw what there is data for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--baselines", type=Path)
    parser.add_argument("--cost", type=Path)
    given = parser.parse_args()
    if (zoo.ZOO / f"{SHOWN}.csv.gz").exists():
        run_figure()
    if given.baselines:
        baselines_figure(given.baselines)
    if given.cost:
        cost_figure(given.cost)


if __name__ == "__main__":
    main()
