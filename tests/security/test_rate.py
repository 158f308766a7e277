"""Token buckets: the limit holds, comes back with time, and costs bounded memory."""

from monitor.auth.rate_limit import Buckets, network_of


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_taken_then_what_the_rate_gives() -> None:
    ticks = Ticks()
    buckets = Buckets(2.0, 3, ticks=ticks)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    ticks.now = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.5]
    ticks.now = 1_000.0
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_asking_too_often_does_not_prolong_the_wait() -> None:
    ticks = Ticks()
    buckets = Buckets(1.0, 1, ticks=ticks)
    assert [buckets.take("a") for _ in range(100)] == [0.0, *[1.0] * 99]


def test_a_million_addresses_cost_the_memory_of_a_few() -> None:
    buckets = Buckets(1.0, 1, ticks=Ticks(), most=100)
    for number in range(5_000):
        buckets.take(f"10.0.{number // 256}.{number % 256}")
        buckets.wait_s(f"10.1.{number // 256}.{number % 256}")
    assert len(buckets) == 100


def test_who_keeps_asking_is_not_forgotten_for_others() -> None:
    buckets = Buckets(0.001, 1, ticks=Ticks(), most=100)
    assert buckets.take("guesser") == 0.0
    for number in range(5_000):
        buckets.take(f"other {number}")
        assert buckets.take("guesser") > 0


def test_a_network_of_ipv6_is_one_asker() -> None:
    assert network_of("2001:db8:0:1::1") == network_of("2001:db8:0:1:ffff::9")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8:0:2::1")
