"""One setting: key, type, default, unit, bounds and what it does; reads and checks values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.errors import SettingsError

Value = bool | int | float | str
_TRUE: Final = frozenset(("true", "yes", "on", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key. `kind` is the value's type; low and high are inclusive; choices limit a text."""

    key: str
    kind: type[bool] | type[int] | type[float] | type[str]
    default: Value
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False

    def parse(self, text: str) -> Value:
        """Return the value a text stands for; raise SettingsError when it is none or out of bounds."""
        word = text.strip()
        if self.kind is bool:
            if word.lower() in _TRUE:
                return True
            if word.lower() in _FALSE:
                return False
            raise SettingsError(f"{self.key}: expected true or false, was {text!r}")
        if self.kind is str:
            return self.check(word)
        try:
            return self.check(int(word) if self.kind is int else float(word))
        except ValueError:
            article = "a whole number" if self.kind is int else "a number"
            raise SettingsError(f"{self.key}: expected {article}, was {text!r}") from None

    def check(self, value: object) -> Value:
        """Return the value when it has the right type and lies inside the bounds; raise SettingsError otherwise."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise SettingsError(f"{self.key}: expected {self.kind.__name__}, was {value!r}")
        assert isinstance(value, bool | int | float | str)
        if self.choices and value not in self.choices:
            raise SettingsError(f"{self.key}: expected one of {', '.join(self.choices)}, was {value!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -float("inf") if self.low is None else self.low
            high = float("inf") if self.high is None else self.high
            if not low <= value <= high:
                raise SettingsError(f"{self.key}: expected {low:g} to {high:g} {self.unit}".rstrip() + f", was {value}")
        return value
