"""Numbers that carry the text somebody wrote for them, so that ``2.50`` and ``1E5`` stay as they were typed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

_ALWAYS_KEPT = 16  # characters: a decimal of so few digits comes back from a float as it went in


class SpeltFloat(float):
    """A float with the text that it was read from."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> SpeltFloat:
        """Read the number in the text."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Copy it with its text."""
        return (self.text,)


class SpeltInt(int):
    """A whole number with the text that it was read from; only ``-0`` is written otherwise by Python."""

    text: str

    def __new__(cls, text: str) -> SpeltInt:
        """Read the number in the text."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Copy it with its text."""
        return (self.text,)


Spelt: TypeAlias = SpeltFloat | SpeltInt


def spelt_float(text: str) -> float:
    """The number in a JSON text; with the text where Python would write another one."""
    number = float(text)
    return number if repr(number) == text else SpeltFloat(text)


def spelt_int(text: str) -> int:
    """The whole number in a JSON text; with the text where Python would write another one."""
    return SpeltInt(text) if text == "-0" else int(text)


def exact_float(text: str) -> float:
    """The number in a JSON text; with the text where a float does not hold all of its value."""
    number = float(text)
    if len(text) <= _ALWAYS_KEPT and "e" not in text and "E" not in text:
        return number
    spelt = SpeltFloat(text)
    return number if _exact(number) == _exact(spelt) else spelt


def json_type(value: Any) -> type:
    """The type of a JSON value, whether or not it carries a text."""
    kind = type(value)
    return float if kind is SpeltFloat else int if kind is SpeltInt else kind


def same_float(a: float, b: float) -> bool:
    """Whether two numbers have the same value and sign, be it one that no float holds."""
    if float.__repr__(a) != float.__repr__(b):
        return False
    return a is b or not (isinstance(a, SpeltFloat) or isinstance(b, SpeltFloat)) or _exact(a) == _exact(b)


def _exact(number: float) -> Decimal | str:
    text = number.text if isinstance(number, SpeltFloat) else float.__repr__(number)
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what even a decimal has
        return text


def positional(number: float) -> str:
    """A finite float without an exponent, in the fewest digits that give it back."""
    text = format(Decimal(float.__repr__(number)), "f")
    return text if "." in text else f"{text}.0"
