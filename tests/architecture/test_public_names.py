"""What `dggn` hands on."""

from __future__ import annotations

import pytest

import dggn
from runtime.upscaler import Upscaler, upscale


def test_exported_names() -> None:
    assert sorted(dggn.__all__) == ["Upscaler", "__version__", "load", "upscale"]
    assert set(dggn.__all__) <= set(dir(dggn))


def test_names_are_those_of_the_rooms() -> None:
    assert dggn.upscale is upscale
    assert dggn.Upscaler is Upscaler
    assert callable(dggn.load)
    assert dggn.__version__.count(".") == 2


def test_unknown_names_are_refused() -> None:
    misspelt = "upscal"
    with pytest.raises(AttributeError, match=misspelt):
        getattr(dggn, misspelt)
