"""Where an attempt goes among those of its run: announced order, or the place that it names."""

from itertools import permutations
from types import SimpleNamespace

import pytest

from monitor.store.attempt_order import in_order


def ordered(*announced: tuple[str, str | None, bool | None]) -> str:
    """Return the names in their order after these announcements: (name, after, late)."""
    return "".join(
        in_order(
            [
                SimpleNamespace(id=name, key=key, after=after, late=late)
                for key, (name, after, late) in enumerate(announced, 1)
            ]
        )
    )


def test_without_a_word_the_order_is_that_of_the_announcements() -> None:
    assert ordered(("z", None, None), ("a", None, None), ("m", None, None)) == "zam"


def test_one_announced_late_goes_behind_the_one_it_names() -> None:
    assert ordered(("a", None, None), ("c", None, None), ("b", "a", None)) == "abc"


@pytest.mark.parametrize("late", [None, True])
def test_a_chain_comes_out_the_same_whatever_the_order_of_arrival(late: bool | None) -> None:
    chain = [("a", None, late), ("b", "a", late), ("c", "b", late), ("d", "c", late)]
    assert {ordered(*way) for way in permutations(chain)} == {"abcd"}


def test_one_that_lives_is_the_newest_though_its_box_knows_less() -> None:
    box_one, box_two, again = ("a", None, False), ("b", None, False), ("c", "a", False)
    assert ordered(box_one, box_two, again) == "abc"


def test_the_first_of_a_folder_that_is_synced_late_is_older_than_what_is_there() -> None:
    assert ordered(("b", None, False), ("c", "b", False), ("a", None, True)) == "abc"
    live, resumed, between = ("a", None, False), ("c", "b", False), ("b", "a", True)
    assert ordered(live, resumed, between) == "abc"


def test_names_in_a_circle_are_taken_as_they_come() -> None:
    assert sorted(ordered(("a", "b", None), ("b", "a", None), ("c", "c", True))) == ["a", "b", "c"]
