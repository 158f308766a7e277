"""What does a batch of one step cost the monitor, while its run is watched?

python -m benchmarks.service.batch [--quick] [--database sqlite|postgresql|both] [--json FILE]

A monitor process, 20 runs with one open event stream each, and one step of 20 values after the other, each sent as a
batch of its own to the next run. "CPU" is that of the monitor's process alone (not PostgreSQL's), user and system, for
a batch with all that follows from it: storing, verdict, answer, and the events to the viewer. Then the same for an
empty batch, which a trainer sends twice a second to hear of commands.
"""

import http.client
import json
import random
import time
from typing import Any

from benchmarks.page import cpu_s
from benchmarks.peers.peers import Place
from benchmarks.peers.systems.workload import NAMES
from benchmarks.service.live import Child, monitor
from benchmarks.service.rounds import keep, machine, median, parser_of, say
from cusp.ids import new_id

Json = dict[str, Any]
RUNS, BEFORE, ROUNDS = 20, 10, 5


class Asking:
    """One connection that is kept, as the client's."""

    def __init__(self, place: Place) -> None:
        self._connection = http.client.HTTPConnection(place.url.removeprefix("http://"), timeout=60)

    def post(self, path: str, body: Json) -> None:
        """Send; SystemExit on an error."""
        head = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), head)
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path} answered {answer.status}: {found[:200]!r}")


def measured(place: Place, steps: int) -> Json:
    """Return the milliseconds of CPU of a batch of one step and of an empty one, the median of the rounds."""
    asking, rng = Asking(place), random.Random(0)
    runs = [(new_id(), new_id()) for _ in range(RUNS)]
    for run, attempt in runs:
        asking.post(
            "/api/v1/runs", {"run_id": run, "attempt_id": attempt, "name": run, "project": "batch"}
        )
    sent = 0

    def round_of(count: int, *, empty: bool = False) -> float:
        nonlocal sent
        began = cpu_s(place)
        for _ in range(count):
            points: list[Json] = []
            if not empty:
                sent += 1
                metrics = {name: rng.random() * (n + 1) for n, name in enumerate(NAMES)}
                points = [{"kind": "point", "step": sent, "at": time.time(), "metrics": metrics}]
            for run, attempt in runs:
                body = {
                    "attempt_id": attempt,
                    "first_seq": sent - len(points),
                    "messages": points,
                }
                asking.post(f"/api/v1/runs/{run}/batches", body)
        time.sleep(0.3)  # what goes to the viewers is sent behind the answer
        return 1e3 * (cpu_s(place) - began) / (count * RUNS)

    round_of(BEFORE)
    out = place.folder / "viewers.json"
    viewers = Child("viewers.py", "--url", place.url, "--out", str(out), *(run for run, _ in runs))
    viewers.line()
    round_of(BEFORE)
    step = [round_of(steps) for _ in range(ROUNDS)]
    empty = [round_of(steps, empty=True) for _ in range(ROUNDS)]
    viewers.end()
    return {"step_ms": median(step), "least_step_ms": min(step), "empty_ms": median(empty)}


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args()
    names = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    found: Json = {}
    for name in names:
        say(name)
        with monitor(name) as place:
            found[name] = measured(place, 10 if given.quick else 40)
    print(f"Batches, {machine()}; {RUNS} runs, a viewer each.")
    for name, one in found.items():
        print(
            f"{name}: a step {one['step_ms']:.2f} ms CPU (least {one['least_step_ms']:.2f}),"
            f" empty {one['empty_ms']:.2f} ms"
        )
    keep(given.json, measured=found)


if __name__ == "__main__":
    main()
