"""How slow a body may be."""

from api.receive.meter import Meter
from api.settings.pace import Pace


def test_nothing_is_judged_before_the_first_window_is_over() -> None:
    meter = Meter(Pace(30, min_bytes_per_second=1024, window_seconds=60))
    assert not any(meter.too_slow(1, 1) for _ in range(59))
    assert meter.too_slow(1, 1)


def test_a_slow_mobile_uplink_is_fast_enough() -> None:
    meter = Meter(Pace(30, min_bytes_per_second=1024, window_seconds=60))
    assert not any(meter.too_slow(25 * 1200, 25) for _ in range(100))


def test_each_window_is_judged_by_itself() -> None:
    meter = Meter(Pace(30, min_bytes_per_second=1024, window_seconds=60))
    assert not meter.too_slow(10**9, 60)
    assert not meter.too_slow(1, 59)
    assert meter.too_slow(1, 1)


def test_time_that_we_took_ourselves_is_not_the_clients() -> None:
    meter = Meter(Pace(30, min_bytes_per_second=1024, window_seconds=60))
    assert not any(meter.too_slow(1, 0) for _ in range(1000)), "it never had to be waited for"


def test_no_least_rate_is_no_limit() -> None:
    meter = Meter(Pace(30, min_bytes_per_second=0, window_seconds=60))
    assert not meter.too_slow(0, 1000)
