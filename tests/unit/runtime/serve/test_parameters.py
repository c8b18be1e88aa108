from __future__ import annotations

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.serve.parameters import PARAMETERS, options_of, read_parameters
from runtime.serve.problems import Problem


def test_they_are_the_options_of_the_command() -> None:
    pairs = [("scale", "1.5"), ("format", "webp"), ("quality", "80"), ("id", "a" * 16)]
    options = options_of(read_parameters(pairs))
    assert options.settings == OutputSettings(scale=1.5, format="webp", quality=80)
    assert options.id == "a" * 16
    assert options_of(read_parameters([])).settings == OutputSettings()
    pairs = [("width", "900"), ("second_pass", "true")]
    settings = options_of(read_parameters(pairs)).settings
    assert settings == OutputSettings(width_px=900, second_pass=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scale", text)
        for text in ("0", "-1", "nan", "inf", "1_0", " 2", "2 ", "", "1e99", "٢", "0x2", "257")
    ]
    + [("width", text) for text in ("0", "-5", "1.0", "1e3", "10000000", "१", "+4")]
    + [("quality", "0"), ("quality", "101"), ("format", "exe"), ("format", "PNG")]
    + [
        ("second_pass", "1"),
        ("second_pass", "True"),
        ("id", "short"),
        ("id", "../../etc/passwd/x"),
    ],
)
def test_nonsense_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(Problem, match=f"^{name} is .*: expected ") as caught:
        read_parameters([(name, text)])
    assert caught.value.status == 400


def test_unknown_and_repeated_ones_are_refused() -> None:
    with pytest.raises(Problem, match="unknown parameter 'scael': expected scale, "):
        read_parameters([("scael", "2")])
    with pytest.raises(Problem, match="expected none"):
        read_parameters([("scale", "2")], known={})
    with pytest.raises(Problem, match="scale is given twice"):
        read_parameters([("scale", "2"), ("scale", "3")])


def test_those_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        options_of(read_parameters([("scale", "2"), ("width", "3")]))


def test_the_description_agrees_with_what_is_read() -> None:
    for name, parameter in PARAMETERS.items():
        schema = parameter.schema
        if "minimum" in schema:
            parameter.read(str(schema["minimum"]))
        if "maximum" in schema:
            parameter.read(str(schema["maximum"]))
            with pytest.raises(Problem):
                read_parameters([(name, str(schema["maximum"] + 1))])
        for choice in schema.get("enum", ()):
            assert parameter.read(str(choice)) == choice
