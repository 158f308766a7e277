"""The shape of the source stays within the limits of tests/census.py."""

import statistics

import pytest

from tests import census

FOUND = census.modules()
FOLDERS = census.a_folder(FOUND)


def test_no_folder_has_too_many_modules() -> None:
    full = {name: n for name, n in FOLDERS.items() if n > census.MOST_MODULES}
    assert not full, f"split these folders by subject: {full}"
    assert statistics.median(FOLDERS.values()) <= census.MEDIAN_MODULES


@pytest.mark.parametrize("name", census.FUNCTION_LINES)
def test_functions_are_no_longer_than_they_were(name: str) -> None:
    longest = sorted(
        (census.length(function), f"{module.path} {function.name}")
        for module in FOUND
        for function in module.functions()
    )[-25:]
    limit, now = census.FUNCTION_LINES[name], census.percentiles(census.lengths(FOUND))[name]
    assert now <= limit, f"{name} is {now} lines, at most {limit} are allowed; longest: {longest}"


def test_a_name_stands_for_one_thing() -> None:
    found = census.same_names(FOUND)
    new = {name: places for name, places in found.items() if name not in census.SAME_NAMES}
    assert not new, f"rename all but one, or give the reason in tests/census.py: {new}"
    assert set(census.SAME_NAMES) <= set(found), "a reason for a name that stands once"


def test_the_census_counts_all_it_says() -> None:
    found = census.census()
    assert set(found["loose_signatures"]) == set(census.PACKAGES)
    assert found["modules"] == FOLDERS.total() > 200
