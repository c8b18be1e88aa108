"""No two results share a name, on any disk."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from runtime.jobs.names import unique_targets

PARTS = st.sampled_from(["a", "A", "b", "é", "e\u0301", "ß", "ss", "a.jpg", "a.png"])
NAMES = st.builds(
    lambda folders, stem, suffix: PurePosixPath(*folders, stem + suffix),
    st.lists(PARTS, max_size=2),
    PARTS,
    st.sampled_from([".png", ".PNG", ".jpg", ".webp"]),
)
SOURCES = st.lists(NAMES, unique=True, max_size=12).filter(
    lambda names: not {folder for name in names for folder in name.parents} & set(names)
)


def key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


@given(SOURCES, st.sampled_from([".png", ".jpg", None]))
def test_targets_are_unique_complete_and_in_place(
    sources: list[PurePosixPath], suffix: str | None
) -> None:
    wishes = [(source, source.with_suffix(suffix or source.suffix)) for source in sources]
    chosen = unique_targets(wishes)
    assert set(chosen) == set(sources)
    targets = [target for target, _ in chosen.values()]
    assert len({key(target) for target in targets}) == len(targets)
    folders = {key(folder) for target in targets for folder in target.parents}
    assert not folders & {key(target) for target in targets}, "no file in place of a folder"
    for source, wish in wishes:
        target, renamed = chosen[source]
        assert target.parent == source.parent
        assert target.suffix == wish.suffix
        assert renamed == (target != wish)


@given(SOURCES, st.randoms())
def test_the_order_of_the_sources_does_not_matter(
    sources: list[PurePosixPath], random: object
) -> None:
    wishes = [(source, source.with_suffix(".png")) for source in sources]
    shuffled = wishes.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert unique_targets(shuffled) == unique_targets(wishes)


@given(SOURCES)
def test_nothing_is_renamed_without_need(sources: list[PurePosixPath]) -> None:
    keys = [key(source) for source in sources]
    folders = {key(folder) for source in sources for folder in source.parents}
    chosen = unique_targets([(source, source) for source in sources])
    for source in sources:
        if keys.count(key(source)) == 1 and key(source) not in folders:
            assert not chosen[source][1]
