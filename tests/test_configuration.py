from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml

from vidode import models
from vidode.clip import InvalidInput
from vidode.configuration import catalog, closest, configure, member, plain


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    rate: float = 1.0
    mode: Literal["slow", "fast"] = "slow"
    sizes: tuple[int, ...] = (1,)
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    options: dict[str, Any] = field(default_factory=dict)
    flag: bool = False
    some: int | None = None


VALUES = {
    "name": "b",
    "rate": 2,
    "mode": "fast",
    "sizes": [3, 4],
    "pair": [1, 2.5],
    "inner": {"depth": 7},
    "maybe": {"depth": 2},
    "options": {"any": [1, "x"]},
    "flag": True,
}


def test_plain_values_become_a_configuration_and_come_back():
    made = configure(Outer, VALUES, "test")
    assert made.inner == Inner(7)
    assert made.maybe == Inner(2)
    assert made.sizes == (3, 4)
    assert isinstance(made.rate, float)
    assert configure(Outer, plain(made), "test") == made
    assert plain(made)["inner"] == {"depth": 7}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rat": 1.0}, "test has no option 'rat'; did you mean 'rate'"),
        ({"zzz": 1.0}, "test has no option 'zzz'; expected one of name, rate"),
        ({"rate": "fast"}, "test, rate is 'fast'; expected float"),
        ({"rate": True}, "test, rate is True; expected float"),
        ({"mode": "middling"}, "test, mode is 'middling'; expected Literal"),
        ({"sizes": [1, "x"]}, "test, sizes is"),
        ({"pair": [1.0]}, "test, pair is"),
        ({"inner": {"dept": 1}}, "test, inner has no option 'dept'; did you mean 'depth'"),
        ({"inner": {"depth": 1.5}}, "test, inner, depth is 1.5; expected int"),
        ({"maybe": 3}, "test, maybe is 3"),
        ({"flag": 1}, "test, flag is 1; expected bool"),
        ({3: 4}, "test has no option 3; expected one of name, rate"),
        ({True: 3}, "test has no option True; expected one of name, rate"),
        ({"inner": {3: 4}}, "test, inner has no option 3; expected one of depth"),
        ({"options": {3: 1}}, r"test, options is \{3: 1\}; expected dict\[str, Any\]"),
        ({"inner": {"depth": "1e-3"}}, "test, inner, depth is '1e-3'; expected int"),
        ({"rate": "1e999"}, "test, rate is '1e999'; expected float"),
        ({"rate": "3"}, "test, rate is '3'; expected float"),
        ({"flag": "1e3"}, "test, flag is '1e3'; expected bool"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values, message):
    with pytest.raises(InvalidInput, match=message):
        configure(Outer, values, "test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate: 1e-3", {"rate": 0.001}),
        ("rate: -2E3", {"rate": -2000.0}),
        ("rate: 1.5e3", {"rate": 1500.0}),
        ("inner: {depth: 1e3}", {"inner": Inner(1000)}),
        ("maybe: {depth: 12e2}", {"maybe": Inner(1200)}),
        ("sizes: [1e1, 2]", {"sizes": (10, 2)}),
        ("pair: [9e-1, 0.999]", {"pair": (0.9, 0.999)}),
        ("some: 1e3", {"some": 1000}),
        ("name: 1e3", {"name": "1e3"}),
        ("options: {any: 1e3}", {"options": {"any": "1e3"}}),
    ],
)
def test_numbers_that_yaml_takes_for_text_are_numbers_where_numbers_are_expected(text, expected):
    made = configure(Outer, yaml.safe_load(text), "test")
    assert made == Outer(**expected)
    assert all(type(getattr(made, name)) is type(value) for name, value in expected.items())


def test_the_closest_name_is_offered():
    assert closest("vid_od", ["vid_ode", "blend"]) == "did you mean 'vid_ode'?"
    assert closest("x", ["vid_ode", "blend"]) == "expected one of vid_ode, blend"


def test_a_folder_is_a_catalog_of_one_class_each():
    names = catalog(models)
    assert names == sorted(names)
    for name in names:
        kind = member(models, name, models.VideoModel, "model")  # type: ignore[type-abstract]
        assert kind.__module__ == f"vidode.models.{name}"
    with pytest.raises(InvalidInput, match="no model is called 'vid_od'; did you mean 'vid_ode'"):
        member(models, "vid_od", models.VideoModel, "model")  # type: ignore[type-abstract]
