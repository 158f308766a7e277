"""Does the memory of an open page stay where it is while a run goes on for 100,000 steps?

python -m benchmarks.heap [--quick] [--points N] [--json FILE]

A monitor, a run of 20 metrics whose page is open in a real Chromium with all charts drawn, and batches of 250 steps as
fast as the page takes them. Every tenth part of the way it waits until the page has drawn the last step and asks for
the heap after a garbage collection (CDP: HeapProfiler.collectGarbage, Performance.getMetrics), nodes and listeners.
"""

import time
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.detector.scoring import markdown
from benchmarks.page import request
from benchmarks.peers.peers import Place
from benchmarks.peers.systems.workload import NAMES
from benchmarks.service.live import monitor
from benchmarks.service.rounds import keep, machine, parser_of, say, verdict
from cusp.ids import new_id
from tests.browser.conftest import FLAGS
from tests.browser.install import browser as installed_browser

Json = dict[str, Any]
BATCH, LOOKS = 250, 10
MOST_GROWTH = 1.25  # of the heap at the end over that at a third of the way, where each line has been thinned before
NEWEST = """() => Math.max(-1, ...(document.getElementById('charts').data || [])
  .filter((trace) => trace.meta.role === 'values').map((trace) => trace.x.at(-1) ?? -1))"""
OPENED = """() => { document.getElementById('others').open = true;
  document.querySelectorAll('.small-chart').forEach((chart) => chart.scrollIntoView()); scrollTo(0, 0); }"""


def looked(page: Page, session: CDPSession) -> Json:
    """Return what the page holds after a garbage collection."""
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(200)
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return {
        "heap_mb": found["JSHeapUsedSize"] / 1e6,
        "nodes": int(found["Nodes"]),
        "listeners": int(found["JSEventListeners"]),
    }


def streamed(place: Place, page: Page, points: int) -> Iterator[Json]:
    """Yield what the page holds along the way."""
    run, attempt = new_id(), new_id()
    request(place, "/api/v1/runs", {"run_id": run, "attempt_id": attempt, "name": "long"})

    def send(first: int, count: int) -> None:
        messages = [
            {
                "kind": "point",
                "step": step,
                "metrics": {name: (step * (n + 7)) % 101 / 101 for n, name in enumerate(NAMES)},
            }
            for step in range(first, first + count)
        ]
        body = {"attempt_id": attempt, "first_seq": first - 1, "messages": messages}
        request(place, f"/api/v1/runs/{run}/batches", body)

    send(1, 10)
    page.goto(f"{place.url}/runs/{run}")
    page.wait_for_function("() => document.getElementById('charts').data?.length > 0")
    page.evaluate(OPENED)
    page.wait_for_timeout(3_000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.enable")
    yield {"points": 10, "s": 0.0, **looked(page, session)}
    began, sent = time.perf_counter(), 10
    for look in range(1, LOOKS + 1):
        while sent < points * look // LOOKS:
            send(sent + 1, BATCH)
            sent += BATCH
            if (
                sent % (8 * BATCH) < BATCH
            ):  # not further ahead of the page than the monitor keeps for it
                page.wait_for_function(f"() => ({NEWEST})() >= {sent - 8 * BATCH}", timeout=120_000)
        page.wait_for_function(f"() => ({NEWEST})() >= {sent}", timeout=120_000)
        say(f"{sent:,} points")
        yield {"points": sent, "s": time.perf_counter() - began, **looked(page, session)}


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--points", type=int, help="steps of the run (100,000; --quick: 10,000)")
    given = parser.parse_args()
    points = given.points or (10_000 if given.quick else 100_000)
    with monitor("sqlite") as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        found = list(streamed(place, page, points))
        browser.close()
    lines = [
        [
            f"{one['points']:,}",
            f"{one['s']:.0f} s",
            f"{one['heap_mb']:.1f} MB",
            f"{one['nodes']:,}",
            f"{one['listeners']:,}",
        ]
        for one in found
    ]
    print(f"An open page, {machine()}; 20 metrics.\n")
    print(markdown(("points", "after", "heap", "nodes", "listeners"), lines))
    third, end = found[len(found) // 3]["heap_mb"], found[-1]["heap_mb"]
    said = (
        f"heap from {third:.1f} MB at a third to {end:.1f} MB at the end (bar: {MOST_GROWTH} times)"
    )
    print(verdict(end <= MOST_GROWTH * third, said))
    keep(given.json, measured=found)


if __name__ == "__main__":
    main()
