"""What does a log call cost a training, also while the server is away? Cusp beside the other systems.

python -m benchmarks.service.loop [--quick] [--rounds 5] [--only cusp,trackio] [--json FILE]

Calls: each system's own client logs 20 values a step, a step every 10 ms, and each call is timed (plain
sqlite3 and mlflow have stored the values when it returns; the others have queued or spooled them). "Cusp,
callback" is `on_step_end` and `on_log` of `CuspCallback`, as a Trainer calls them at every step.
Outage: Cusp and trackio in the same way, their server killed by SIGKILL in the middle and started again, and
half-open (a relay between them swallows every byte, all connections stay open).
Step: a real TRL GRPO training of the embedded model on the CPU, with and without the callback in turn, the
same work in both; paired step by step. Rounds are interleaved; a cell is the median (least-greatest).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from benchmarks.detector.scoring import markdown
from benchmarks.peers.peers import HERE, QUIET, SYSTEMS, Place, places
from benchmarks.service.relay import Relay
from benchmarks.service.rounds import (
    asked,
    interleaved,
    keep,
    machine,
    median,
    quantile,
    ratios,
    say,
    spread,
    verdict,
)

Json = dict[str, Any]
PACE_S = 0.01
# A way of logging: the system, how, its title, the share of the steps that it is given.
WAYS: dict[str, tuple[str, str, str, float]] = {
    "cusp": ("cusp", "", "Cusp, `run.log()`", 1.0),
    "cusp_callback": ("cusp", "callback", "Cusp, callback", 1.0),
    "trackio": ("trackio", "", "trackio -> its server", 1.0),
    "mlflow": ("mlflow", "", "mlflow -> mlflow server", 0.2),
    "mlflow_async": ("mlflow", "async", "mlflow, async logging", 0.2),
    **{
        name: (name, "", SYSTEMS[name].title, 1.0)
        for name in ("aim", "wandb", "tensorboard", "sqlite")
    },
}
OUTAGE_S = 5.0
AWAY = {"up": "server up", "killed": "server killed", "half_open": "half-open"}


def micro(calls: Sequence[float]) -> list[float]:
    """Return nanoseconds as microseconds."""
    return [ns / 1e3 for ns in calls]


def log_calls(opened: dict[str, Place], rounds: int, steps: int) -> dict[str, list[list[float]]]:
    """Return the microseconds of each call, round by round, of every way."""
    ways = [way for way, (system, *_) in WAYS.items() if system in opened]
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    for way in interleaved(ways, rounds, "calls, "):
        system, how, _, share = WAYS[way]
        run = f"{way}{len(found[way])}"
        done = opened[system].work("log", run, steps=int(steps * share), pace=PACE_S, how=how)
        found[way].append(micro(done["calls_ns"]))
    return found


# ------------------------------------------------------------------------------------ outages


@contextmanager
def nothing_wrong(
    place: Place, begun: Callable[[], None]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Leave the server alone for as long as an outage."""

    def act() -> tuple[float, float]:
        begun()
        at = time.time()
        time.sleep(OUTAGE_S)
        return at, time.time()

    yield place.url, act


@contextmanager
def killed(place: Place, begun: Callable[[], None]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Kill the server in the middle and start it again."""

    def act() -> tuple[float, float]:
        begun()
        at = time.time()
        place.end(signal.SIGKILL)
        time.sleep(OUTAGE_S)
        until = time.time()
        place.start()
        return at, until

    yield place.url, act


@contextmanager
def half_open(place: Place, begun: Callable[[], None]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Swallow what client and server say, with every connection open."""
    relay = Relay(place.port)

    def act() -> tuple[float, float]:
        begun()
        at = time.time()
        relay.fall_silent()
        time.sleep(OUTAGE_S)
        if not relay.swallowed:
            raise SystemExit("the client sent nothing during the half-open time")
        until = time.time()
        relay.speak()
        return at, until

    try:
        yield relay.url, act
    finally:
        relay.close()


WRONG = {"up": nothing_wrong, "killed": killed, "half_open": half_open}


def during(place: Place, what: str, run: str, how: str, steps: int) -> list[float]:
    """Return the microseconds of the calls between the beginning and the end of an outage.

    The worker ends only when everything it logged is stored, so nothing was lost either.
    """
    found: list[Json] = []
    flag = place.folder / f"{run}.begun"

    def begun() -> None:
        while not flag.exists():
            if not worker.is_alive():
                raise SystemExit(f"{run} ended before it began")
            time.sleep(0.02)
        time.sleep(1.0)

    with WRONG[what](place, begun) as (url, act):
        options = {"steps": steps, "pace": PACE_S, "how": how, "url": url}
        worker = threading.Thread(
            target=lambda: found.append(place.work("log", run, **options))  # type: ignore[arg-type]
        )
        worker.start()
        at, until = act()
        worker.join()
    if not found:
        raise SystemExit(f"{run} did not end well")
    calls = zip(found[0]["called_at"], micro(found[0]["calls_ns"]), strict=True)
    return [took for called_at, took in calls if at <= called_at <= until]


def outages(opened: dict[str, Place], rounds: int) -> dict[str, dict[str, list[list[float]]]]:
    """Return for each way and kind of outage the calls, round by round."""
    ways = [way for way in ("cusp", "cusp_callback", "trackio") if WAYS[way][0] in opened]
    found: dict[str, dict[str, list[list[float]]]] = {
        way: {what: [] for what in AWAY} for way in ways
    }
    steps = int((1.0 + OUTAGE_S + 1.0) / PACE_S)
    for name in interleaved([f"{way} {what}" for way in ways for what in AWAY], rounds, "outage, "):
        way, what = name.split()
        system, how, *_ = WAYS[way]
        run = f"{way}-{what}-{len(found[way][what])}"
        found[way][what].append(during(opened[system], what, run, how, steps))
    return found


# --------------------------------------------------------------------------------- the step


def trainings(place: Place, rounds: int, steps: int) -> Json:
    """Return the steps of real trainings with and without the callback."""
    command = [sys.executable, str(HERE / "systems" / "training.py"), "--url", place.url]
    command += ["--rounds", str(rounds), "--steps", str(steps)]
    done = subprocess.run(
        command, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: Json = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def differences(pairs: Sequence[Json]) -> list[float]:
    """Return each step's time with the callback less without, as a share of the median step."""
    step = median([s for pair in pairs for s in pair["without"]["seconds"]])
    return [
        (a - b) / step
        for pair in pairs
        for a, b in zip(pair["with"]["seconds"], pair["without"]["seconds"], strict=True)
    ]


def interval(values: Sequence[float], draws: int = 2_000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    rng = Random(0)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws)]


# -------------------------------------------------------------------------------- the tables


def p99(rounds: Sequence[Sequence[float]]) -> list[float]:
    """Return the 99th percentile of each round."""
    return [quantile(calls, 0.99) for calls in rounds]


def call_table(found: dict[str, list[list[float]]]) -> str:
    """Return the table of the calls."""
    ours = p99(found["cusp"])
    lines = []
    for way, each in found.items():
        calls = [call for calls in each for call in calls]
        lines.append(
            [
                WAYS[way][2],
                f"{len(calls):,}",
                f"{median(calls):,.0f} us",
                spread(p99(each), "{:,.0f} us"),
                f"{max(calls):,.0f} us",
                "1" if way == "cusp" else ratios(p99(each), ours, "{:.1f}x"),
            ]
        )
    head = ("system", "calls", "p50", "p99", "longest", "its p99 is of Cusp's `log()`")
    return markdown(head, lines)


def outage_table(found: dict[str, dict[str, list[list[float]]]]) -> str:
    """Return the table of the outages."""
    lines = [
        [
            WAYS[way][2],
            AWAY[what],
            f"{median([call for calls in each for call in calls]):,.0f} us",
            spread(p99(each), "{:,.0f} us"),
            f"{max(max(calls) for calls in each):,.0f} us",
            "1" if what == "up" else ratios(p99(each), p99(kinds["up"])),
        ]
        for way, kinds in found.items()
        for what, each in kinds.items()
    ]
    return markdown(("system", "", "p50", "p99", "longest", "p99 of up"), lines)


def step_table(found: Json) -> tuple[str, float]:
    """Return the table of the training, and which share of a step its thread waits for Cusp."""
    pairs, steps = found["pairs"], found["steps"]
    step = median([s for pair in pairs for s in pair["without"]["seconds"]])
    inside = sum(pair["with"]["callback_s"] for pair in pairs) / (steps * len(pairs))
    threads = sum(pair["with"]["threads_s"] for pair in pairs) / (steps * len(pairs))
    found_differences = differences(pairs)
    low, high = interval(found_differences)
    lines = [
        ["a step without the callback, median", f"{1e3 * step:.0f} ms", "–"],
        ["in the callback: the training's thread waits", *shares(inside, step)],
        ["Cusp's threads, CPU (beside the training)", *shares(threads, step)],
        [
            f"with less without, median of {len(found_differences)} pairs of steps [95 %]",
            f"{1e3 * step * median(found_differences):+.1f} ms",
            f"{median(found_differences):+.2%} [{low:+.2%}, {high:+.2%}]",
        ],
    ]
    return markdown(("real TRL GRPO", "a step", "of the step"), lines), inside / step


def shares(seconds: float, step: float) -> list[str]:
    """Return milliseconds and the share of a step."""
    return [f"{1e3 * seconds:.2f} ms", f"{seconds / step:.3%}"]


def bars(
    calls: dict[str, list[list[float]]], away: dict[str, dict[str, list[list[float]]]], share: float
) -> list[str]:
    """Return the bars of design §10 as lines."""
    lines = []
    for way in ("cusp", "cusp_callback"):
        title = WAYS[way][2]
        if "trackio" in calls:
            pairs = zip(p99(calls[way]), p99(calls["trackio"]), strict=True)
            times = median([a / b for a, b in pairs])
            lines.append(verdict(times <= 1, f"{title}: p99 {times:.2f}x trackio's (bar 1x)"))
        for what in ("killed", "half_open"):
            pairs = zip(p99(away[way][what]), p99(away[way]["up"]), strict=True)
            times = median([a / b for a, b in pairs])
            said = f"{title}: p99 {times:.2f}x of up when {AWAY[what]} (bar: unchanged, 1.25x)"
            lines.append(verdict(times <= 1.25, said))
    lines.append(verdict(share <= 0.001, f"the training waits {share:.3%} of a step (bar 0.1 %)"))
    return lines


def main() -> None:
    """Measure and print."""
    given = asked(__doc__, list(SYSTEMS))
    rounds, steps = given.rounds, 200 if given.quick else 500
    with places(given.names) as opened:
        calls = log_calls(opened, rounds, steps)
        keep(given.json, calls=calls)  # on a busy machine the rest takes long
        away = outages({n: p for n, p in opened.items() if n in ("cusp", "trackio")}, rounds)
        keep(given.json, calls=calls, outages=away)
        say("a real training, with and without the callback in turn")
        trained = trainings(opened["cusp"], rounds, 20 if given.quick else 30)
    print(f"In the training loop, {machine()}; {rounds} interleaved rounds.\n")
    print(f"A log call of 20 values, every {1e3 * PACE_S:.0f} ms.\n\n{call_table(calls)}")
    print(f"During an outage of {OUTAGE_S:.0f} s; everything arrived after it.\n")
    print(outage_table(away))
    table, share = step_table(trained)
    print(table)
    print("\n".join(bars(calls, away, share)))
    keep(given.json, calls=calls, outages=away, trainings=trained)


if __name__ == "__main__":
    main()
