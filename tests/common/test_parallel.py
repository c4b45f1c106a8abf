"""One function over many items: in order, and ended at once by an error."""

import time

import pytest

from sedistill.common.parallel import WORTH_A_POOL, parallel_map


def squared(number: int) -> int:
    return number * number


def fail_or_take_long(number: int) -> None:
    if number == 0:
        raise ValueError("the first one")
    time.sleep(5)  # and eight of them are given out at a time


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [0, 3, WORTH_A_POOL + 5])
def test_results_come_in_the_order_of_the_items(workers: int, count: int) -> None:
    assert parallel_map(squared, range(count), workers, "squaring", "numbers") == [
        number * number for number in range(count)
    ]


def test_an_error_does_not_wait_for_what_is_under_way() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="the first one"):
        parallel_map(fail_or_take_long, range(WORTH_A_POOL), 2, "failing", "numbers")
    assert time.monotonic() - started < 30
