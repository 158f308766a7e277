"""How fast is a long series read back? Cusp beside the servers and the local files.

python -m benchmarks.service.read [--quick] [--rounds 5] [--only cusp,trackio] [--json FILE]

Each system is given one metric of 100,000 steps by its own client (mlflow by `log_batch`); then a fresh
process reads all of it, parsed into a list, by the system's own means: Cusp, trackio and mlflow over
HTTP from their servers, TensorBoard by its EventAccumulator, aim by its SDK, sqlite3 by a SELECT. wandb
offline has nothing that reads. Of three readings the fastest counts; rounds are interleaved, each cell is
the median (least-greatest) over them. Cusp's page asks for at most 2,000 points; that is timed, too.
"""

import http.client
import json
import time
from typing import Any

from benchmarks.detector.scoring import markdown
from benchmarks.peers.peers import SYSTEMS, Place, places
from benchmarks.service.rounds import (
    asked,
    interleaved,
    keep,
    machine,
    median,
    ratios,
    say,
    spread,
    verdict,
)

Json = dict[str, Any]
READERS = [name for name in SYSTEMS if name != "wandb"]


def fill(opened: dict[str, Place], steps: int) -> None:
    """Give every system the series."""
    for name, place in opened.items():
        say(f"{name} takes {steps:,} points")
        place.work("series", "long", steps=steps)


def timed(url: str, path: str) -> float:
    """Return how long one answer took, parsed, the best of three."""
    times = []
    for _ in range(3):
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        began = time.perf_counter()
        connection.request("GET", path)
        json.loads(connection.getresponse().read())
        times.append(time.perf_counter() - began)
    return min(times)


def pages(place: Place, rounds: int) -> dict[str, list[float]]:
    """Return the times of what Cusp's page asks for of the long run."""
    run_id = (place.folder / "long.id").read_text()
    asked = {
        "2,000 of the points (extremes kept)": f"/api/v1/runs/{run_id}/series?names=x&max_points=2000",
        "the run's summary": f"/api/v1/runs/{run_id}",
        "the runs table": "/api/v1/runs",
    }
    return {what: [timed(place.url, path) for _ in range(rounds)] for what, path in asked.items()}


def main() -> None:
    """Measure and print."""
    given = asked(__doc__, READERS)
    rounds, names, steps = given.rounds, given.names, 20_000 if given.quick else 100_000
    found: dict[str, list[float]] = {name: [] for name in names}
    with places(names) as opened:
        fill(opened, steps)
        for name in interleaved(names, rounds):
            read = opened[name].work("read", "long", steps=steps)
            if read["points"] != steps:
                raise SystemExit(f"{name} gave {read['points']} of {steps} points")
            found[name].append(read["seconds"])
        page = pages(opened["cusp"], rounds)
    print(f"Reading {steps:,} points of one metric, {machine()}; {rounds} interleaved rounds.\n")
    lines = [
        [
            SYSTEMS[name].title,
            spread([1e3 * s for s in each], "{:,.0f} ms"),
            "1" if name == "cusp" else ratios(each, found["cusp"], "{:.1f}x"),
        ]
        for name, each in found.items()
    ]
    print(markdown(("system", f"{steps:,} points", "Cusp is faster by"), lines))
    shown = [[what, spread([1e3 * s for s in each], "{:.1f} ms")] for what, each in page.items()]
    print(markdown(("Cusp, of the same run", "answer"), shown))
    if "trackio" in found:
        times = median([b / a for a, b in zip(found["cusp"], found["trackio"], strict=True)])
        print(verdict(times >= 3, f"{times:.1f}x faster than trackio (bar 3x)"))
    keep(given.json, seconds=found, page=page, steps=steps)


if __name__ == "__main__":
    main()
