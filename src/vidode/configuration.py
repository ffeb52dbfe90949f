"""Frozen dataclasses from plain values, and folders that are catalogs."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import math
import pkgutil
import re
import types
import typing
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from vidode.clip import InvalidInput

T = TypeVar("T")

EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""A number that YAML 1.1 takes for text where it lacks the point or the sign of the exponent."""


def configure(kind: type[T], values: dict[Any, Any], owner: str) -> T:
    """A configuration dataclass from plain values; nested dataclasses take dictionaries, tuples take lists.

    Text such as '1e-3', which YAML 1.1 does not take for a number, is one where a number is expected.
    Raises `InvalidInput` for a key that does not exist, naming the closest one, and for a value of the wrong type.
    """
    hints = get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    filled = {}
    for key, value in values.items():
        if key not in known:
            raise InvalidInput(f"{owner} has no option {key!r}; {closest(str(key), known)}")
        filled[key] = _fit(hints[key], value, f"{owner}, {key}")
    return kind(**filled)


def from_yaml(text: str, owner: str) -> Any:
    """Plain values from YAML. Raises `InvalidInput` for what is not YAML, and for values that there are not.

    Such as the 13th month, a number of five thousand digits or a list that holds itself, for which the library has
    errors of other kinds.
    """
    import yaml

    try:
        values = yaml.safe_load(text)
        json.dumps(values, default=str)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{owner} is not YAML: {' '.join(str(error).split())}") from error
    return values


def require_at_least(config: Any, **least: float) -> None:
    """Raise `InvalidInput` naming the first of these options that is less than it may be."""
    for name, bound in least.items():
        if not getattr(config, name) >= bound:  # NaN is neither more nor less
            raise InvalidInput(f"{name} is {getattr(config, name)}; expected at least {bound}")


def plain(config: Any) -> dict[str, Any]:
    """The inverse of `configure`: dictionaries, lists and plain values, ready for YAML and JSON."""
    return {f.name: _plain_value(getattr(config, f.name)) for f in dataclasses.fields(config)}


def closest(word: str, known: list[str]) -> str:
    """'did you mean ...' where a name is near, else the list of names."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"


def catalog(package: ModuleType) -> list[str]:
    """The names in a folder of one thing each, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def member(package: ModuleType, name: str, base: type[T], what: str) -> type[T]:
    """The one subclass of `base` that the file `name` of a package defines.

    Raises `InvalidInput`, with the closest name, where there is no such file.
    """
    if name not in catalog(package):
        raise InvalidInput(f"no {what} is called {name!r}; {closest(name, catalog(package))}")
    module = importlib.import_module(f"{package.__name__}.{name}")
    here = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    found = [value for value in here if isinstance(value, type) and issubclass(value, base)]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} defines {len(found)} of {base.__name__}; expected exactly one")
    return found[0]


def _fit(hint: Any, value: Any, owner: str) -> Any:
    """The value as its annotation wants it."""
    for kind in _kinds(hint):
        if dataclasses.is_dataclass(kind) and isinstance(value, dict):
            return configure(kind, value, owner)  # type: ignore[arg-type]
    value = _with_numbers(hint, _as_tuples(value))
    if not _matches(hint, value):
        raise InvalidInput(f"{owner} is {value!r}; expected {_name(hint)}")
    return float(value) if hint is float else value


def _as_tuples(value: Any) -> Any:
    """Lists, which YAML gives, as tuples, also within each other."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _with_numbers(hint: Any, value: Any) -> Any:
    """The value, with numbers in place of such text where numbers are expected; a whole one where that is."""
    if isinstance(value, tuple):
        tuples = [kind for kind in _kinds(hint) if _is_of(kind, value)]
        return tuple(map(_with_numbers, _items(tuples[0], value), value)) if tuples else value
    if not (isinstance(value, str) and EXPONENT.fullmatch(value)) or _matches(hint, value):
        return value
    number = float(value)
    if float in _kinds(hint) and math.isfinite(number):
        return number
    return int(number) if int in _kinds(hint) and number.is_integer() else value


def _kinds(hint: Any) -> tuple[Any, ...]:
    """What a value may be, of which a union has several."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _is_of(hint: Any, value: Any) -> bool:
    """Whether the value is a tuple, the annotation too, and of as many items."""
    return isinstance(value, tuple) and typing.get_origin(hint) is tuple and len(value) == len(_items(hint, value))


def _items(hint: Any, value: tuple[Any, ...]) -> list[Any]:
    """The annotations of a tuple's items."""
    arguments = typing.get_args(hint)
    return [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)


def _matches(hint: Any, value: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is typing.Literal:
        return any(value == argument and type(value) is type(argument) for argument in arguments)  # True is not 1
    if origin is tuple:
        return _is_of(hint, value) and all(map(_matches, _items(hint, value), value))
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if arguments:  # a union
        return any(_matches(argument, value) for argument in arguments)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    return [_plain_value(item) for item in value] if isinstance(value, tuple) else value
