"""What a tab that follows a long run holds of it: its whole past, and what is zoomed into in full."""

from playwright.sync_api import Page, Route

from tests.conftest import MonitorProcess
from tests.messages import Trainer, point

LOSS = ".small-chart[data-metric=loss]"
HELD = f"document.querySelector('{LOSS}').data.find(t => t.meta.role === 'values')"


def send(trainer: Trainer, first: int, last: int) -> None:
    """Send the steps up to `last`: the loss falls by one half at step 2,000, with a saw on top."""
    for begin in range(first, last + 1, 1_000):
        steps = range(begin, min(begin + 1_000, last + 1))
        trainer.send(*(point(s, loss=(s < 2_000) / 2 + (s % 97) / 970) for s in steps))


def arrived(page: Page, step: int) -> None:
    page.wait_for_function(f"() => {HELD}.x.at(-1) === {step}")


def zoom(page: Page, first: int, last: int) -> None:
    bar = page.locator("#chartbar")
    bar.get_by_label("First step shown").fill(str(first))
    bar.get_by_label("Last step shown").fill(str(last))
    bar.get_by_label("Last step shown").press("Enter")


def test_a_tab_that_follows_a_long_run_keeps_its_past_and_what_is_zoomed_into(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, policy={"verify": "off"})  # type: ignore[arg-type]  # asks alike
        send(trainer, 1, 10)
        page.goto(f"{monitor_process.url}/runs/{trainer.run_id}?metrics=loss")
        page.locator(LOSS).scroll_into_view_if_needed()
        page.wait_for_selector(f"{LOSS}.js-plotly-plot")
        page.wait_for_function("() => document.querySelector('#live').dataset.state === 'on'")

        # Thinned eight times, every stretch has as many points as the others, and the fall is where it was.
        send(trainer, 11, 4_000)
        arrived(page, 4_000)
        held = dict(page.evaluate(f"() => {HELD}.x.map((x, i) => [x, {HELD}.y[i]])"))
        counts = [sum(s // 500 == stretch for s in held) for stretch in range(6)]
        assert min(counts) > 30, counts
        assert len(held) <= 1_200
        assert max(s for s, loss in held.items() if loss >= 0.5) >= 1_940
        assert min(s for s, loss in held.items() if loss < 0.5 and s > 11) >= 2_000

        # What is zoomed into is read in full, and stays so however far the run goes on.
        inside = f"{HELD}.x.filter(x => x >= 2500 && x <= 2600).length"
        assert page.evaluate(inside) < 30
        zoom(page, 2_500, 2_600)
        page.wait_for_function(f"() => {inside} === 101")
        send(trainer, 4_001, 9_000)
        arrived(page, 9_000)
        assert page.evaluate(f"{HELD}.x.length") < 4_500, "it was thinned"
        assert page.evaluate(inside) == 101

        # What comes while a stretch is being read is still there when the answer has come.
        def late(route: Route) -> None:
            answer = route.fetch()
            send(trainer, 9_001, 9_020)
            arrived(page, 9_020)
            route.fulfill(response=answer)

        page.route("**/series?*", late)
        inside = f"{HELD}.x.filter(x => x >= 1000 && x < 2000).length"
        assert page.evaluate(inside) < 100
        zoom(page, 1_000, 20_000)
        page.wait_for_function(f"() => {inside} > 200")
        assert page.evaluate(f"{HELD}.x.slice(-21)") == list(range(9_000, 9_021))
        page.unroute_all(behavior="ignoreErrors")  # another reading may be under way


def test_what_was_thinned_before_loses_nothing_when_it_is_thinned_again(
    page: Page, monitor_process: MonitorProcess
) -> None:
    monitor_process.start()
    page.goto(monitor_process.url)
    found = page.evaluate(
        """async () => {
            const { leave, places } = await import('/static/js/charts/bounded.js');
            const y = Array.from({ length: 5001 }, (_, i) => (i >= 100 && i < 200 ? null : Math.sin(i)));
            [y[1234], y[4321]] = [9, -9];
            const trace = { x: y.map((_, i) => i), y };
            leave(trace, places(trace.x, trace.y, 4000));
            const once = { ...trace };
            leave(trace, places(trace.x, trace.y, 4000));
            return [once, trace];
        }"""
    )
    once, twice = found
    assert once == twice
    kept = dict(zip(once["x"], once["y"], strict=True))
    assert (kept[1234], kept[4321], once["x"][0], once["x"][-1]) == (9, -9, 0, 5000)
    assert None in kept.values()
    assert len(kept) <= 2_002

    worst = page.evaluate(
        """async () => {
            const { Axes } = await import('/static/js/charts/axes.js');
            const tokens = (step) => step * step; // a run whose answers grow
            const axes = new Axes({ tokens: { steps: [1, 2], values: [1, 4] } });
            for (let step = 3; step <= 60000; step++) axes.add(step, { tokens: tokens(step) });
            const { to } = axes.of('tokens');
            return Math.max(...Array.from({ length: 590 }, (_, i) => 1000 + 100 * i)
                .map((step) => Math.abs(to(step) / tokens(step) - 1)));
        }"""
    )
    assert worst < 0.001
