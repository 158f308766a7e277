import pytest

from webui import format


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.5, "0.500"),
        (34.72, "34.7"),
        (1234.5, "1,234"),
        (-0.25, "−0.250"),
        (4e-4, "4.00e-04"),
    ],
)
def test_numbers_have_about_three_digits(value: float, said: str) -> None:
    assert format.number(value) == said


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "x", True])
def test_what_is_no_number_is_unknown(value: object) -> None:
    tellers = (format.number, format.whole, format.percent, format.points, format.usd, format.size)
    assert {tell(value) for tell in tellers} == {format.UNKNOWN}
    assert format.duration(value) == format.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(48, "48 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min"), (273_600, "3 d 4 h")],
)
def test_durations_have_two_units_at_most(seconds: float, said: str) -> None:
    assert format.duration(seconds) == said


def test_times_are_told_in_utc() -> None:
    assert format.when("2026-11-21T10:03:11+01:00") == "2026-11-21 09:03:11 UTC"
    assert format.when("yesterday") == format.UNKNOWN
    assert format.when(None) == format.UNKNOWN


def test_shares_and_differences_are_percent_and_points() -> None:
    assert format.percent(0.718) == "71.8 %"
    assert format.interval(0.674, 0.761) == "67.4–76.1"
    assert format.points(-0.283) == "−28.3"
    assert format.interval(None, 0.5) == format.UNKNOWN


def test_bytes_are_told_in_decimal_units() -> None:
    assert [format.size(n) for n in (0, 999, 812_345, 4_820_000)] == [
        "0 B",
        "999 B",
        "812.3 kB",
        "4.8 MB",
    ]
