"""Whatever a network, crashes and packing make of a delivery, the database ends up as after the plain one.

`CUSP_TEST_EXAMPLES` sets how many examples hypothesis tries (`make soak` tries many), `CUSP_TEST_SEED`
which; without a seed they are the same every time.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from monitor.database.engine import Database
from monitor.store.packed import blocks
from tests.monitor.ingest.traces import ACTS, STATE, Life, Trace, World, dump

EXAMPLES = int(os.environ.get("CUSP_TEST_EXAMPLES", "12"))
SEED = os.environ.get("CUSP_TEST_SEED")


def examples(test: Callable[..., None]) -> Callable[..., None]:
    """Try so many examples; the same every time unless a seed is given."""
    chosen = settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=SEED is None,
        database=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    return chosen(seed(int(SEED))(test) if SEED else test)


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An empty database of each kind, for the runs of all examples."""
    database = Database(database_url)
    database.upgrade()
    monkeypatch.setattr(blocks, "BLOCK_STEPS", 8)  # for attempts of 45 steps at most
    yield database
    database.close()


ends = st.sampled_from([None, "finished", "failed", "stopped"])
commands = st.sampled_from([None, "save", "stop"])
acks = st.sampled_from([None, "delivered", "agreed", "done", "refused"])
small = st.integers(0, 9)


@st.composite
def lives(draw: st.DrawFn, *, plain: bool) -> tuple[Life, ...]:
    """One to three attempts, each resumed somewhere before the end of the one before."""
    found: list[Life] = []
    for _ in range(draw(st.integers(1, 3))):
        reached = found[-1].first + found[-1].steps if found else 0
        told = draw(commands) if plain else None
        life = Life(
            first=max(0, reached - draw(st.integers(0, 30))),
            steps=draw(st.integers(1, 45)),
            end=draw(ends),
            told=told,
            acked=draw(acks) if told else None,
            odd=draw(small),
        )
        if not plain:
            life = replace(
                life,
                repeats=draw(st.booleans()),
                boundary=draw(st.booleans()),
                limit_tokens=draw(st.sampled_from([None, 80])),
            )
        found.append(life)
    return tuple(found)


def traces(*, plain: bool) -> st.SearchStrategy[Trace]:
    turns = st.sampled_from([None, 15, 20])
    return st.builds(Trace, seed=small, turn=turns, lives=lives(plain=plain))


# What happens on the way: (what, which attempt, from which message, how many).
Step = tuple[str, int, int, int]
ways: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["batch", "batch", "batch", "next", "next", "pack", "crash", "announce"]),
        st.integers(0, 2),
        st.integers(0, 120),
        st.integers(0, 40),
    ),
    max_size=12,
)


def follow(world: World, way: list[Step], number: int | None = None) -> None:
    """Deliver as the way says: of the attempts up to `number`, or of all in any order."""
    reach = len(world.trace.lives) if number is None else number + 1
    for what, which, start, count in way:
        attempt = (reach - 1 - which) % reach
        if what == "crash":
            world.crash()
        elif what == "pack":
            world.pack()
        elif what == "announce":
            world.announce(attempt)
        elif what == "next":
            world.deliver(attempt, world.deliver(attempt, 0, 0), count)
        else:
            said = len(world.messages[attempt])
            world.deliver(attempt, start % (said + 1), count)


def plainly(database: Database, trace: Trace) -> World:
    """Return the run delivered in order and once, an attempt a batch."""
    world = World(database, trace)
    for number in range(len(trace.lives)):
        world.finish(number)
    return world


def same(one: World, other: World, *tables: dict[str, str]) -> None:
    note(f"{one.trace}")
    found, wanted = dump(one, tables), dump(other, tables)
    for name in wanted:
        assert found[name] == wanted[name], name


@examples
@given(
    trace=traces(plain=True), way=st.lists(ways, min_size=3, max_size=3), last=st.integers(1, 60)
)
def test_duplicates_disorder_splits_and_crashes_leave_the_same_database_and_acts(
    database: Database, trace: Trace, way: list[list[Step]], last: int
) -> None:
    shaken = World(database, trace)
    for number in range(len(trace.lives)):
        follow(shaken, way[number], number)
        shaken.finish(number, last)
    same(shaken, plainly(database, trace), STATE, ACTS)


@examples
@given(trace=traces(plain=False), way=ways, last=st.permutations([0, 1, 2]))
def test_attempts_that_arrive_in_any_order_leave_the_same_series_and_verdicts(
    database: Database, trace: Trace, way: list[Step], last: list[int]
) -> None:
    shaken = World(database, trace)
    follow(shaken, way)
    for number in last:
        if number < len(trace.lives):
            shaken.finish(number)
    same(shaken, plainly(database, trace), STATE)
