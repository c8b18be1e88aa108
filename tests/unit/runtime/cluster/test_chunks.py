from __future__ import annotations

from pathlib import Path

from runtime.cluster.chunks import FATAL, LONGEST, Chunks
from runtime.jobs.job import Job


def jobs(count: int) -> list[Job]:
    return [Job(source=Path(f"{n}"), target=Path(f"o{n}"), name=str(n)) for n in range(count)]


def test_everything_is_dealt_once_in_order() -> None:
    todo = jobs(500)
    chunks, dealt = Chunks(todo), []
    while chunks.waiting:
        chunk = chunks.take(4)
        assert 1 <= len(chunk) <= LONGEST
        dealt += chunk
    assert dealt == todo
    assert chunks.take(4) == []


def test_chunks_become_short_towards_the_end() -> None:
    chunks, sizes = Chunks(jobs(100)), []
    while chunks.waiting:
        sizes.append(len(chunks.take(4)))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_what_is_put_back_comes_next() -> None:
    todo = jobs(40)
    chunks = Chunks(todo)
    first = chunks.take(1)
    chunks.put_back(first[5:])
    assert chunks.take(1)[0] == first[5]


def test_pictures_of_a_lost_worker_are_redone_alone_and_last() -> None:
    todo = jobs(10)
    chunks = Chunks(todo)
    first = chunks.take(1)
    assert chunks.lose(first) == []
    rest = []
    while len(chunk := chunks.take(1)) > 1 or chunk[0] not in first:
        rest += chunk
    assert rest == todo[len(first) :]
    assert chunk == first[:1]
    assert chunks.take(1) == first[1:2]


def test_a_picture_that_ends_worker_after_worker_is_given_up() -> None:
    (job,) = jobs(1)
    chunks = Chunks([job])
    for _ in range(FATAL - 1):
        assert chunks.lose(chunks.take(1)) == []
    assert chunks.lose(chunks.take(1)) == [job]
    assert not chunks.waiting
