from __future__ import annotations

import asyncio

from runtime.serve.sizes import SMALL_BYTES, Turn, size_of, sizes_for, turn_of


def test_all_that_is_worked_on_together_fits_into_the_memory() -> None:
    for memory in (64 << 20, 1 << 30, 4 << 30):
        sizes = sizes_for(memory, jobs=2)
        assert sum(size.most_bytes * size.at_once for size in sizes) <= 1.2 * memory
        assert [size.most_bytes for size in sizes] == sorted(size.most_bytes for size in sizes)


def test_a_picture_is_of_the_smallest_size_that_holds_it() -> None:
    sizes = sizes_for(4 << 30, jobs=2)
    found = [size_of(count, sizes).name for count in (1, SMALL_BYTES, SMALL_BYTES + 1, 1 << 40)]
    assert found == ["small", "small", "medium", "large"]


def test_turns_are_given_back_unless_a_thread_has_them() -> None:
    async def take(*, passed_on: bool) -> tuple[int, Turn]:
        size = sizes_for(4 << 30, jobs=1)[2]
        async with turn_of(size) as turn:
            assert size.places._value == size.at_once - 1
            turn.is_passed_on = passed_on
        return size.places._value - size.at_once, turn

    assert asyncio.run(take(passed_on=False))[0] == 0
    missing, _ = asyncio.run(take(passed_on=True))
    assert missing == -1
