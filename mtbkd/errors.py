"""The one error a user can mend: bad input, told as thing, value and mend."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user handed in is wrong; the message names the thing, the value and the mend.

    The command line turns it into exit code 2; everything else that goes wrong is exit code 1.
    """


def nearest(word: object, valid: Iterable[object]) -> str:
    """A clause naming the valid word closest to `word` and then all (at most 20), for the end of an error."""
    names = sorted(str(v) for v in valid)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{hint}valid: {shown}"


def require_choice(name: str, value: str, valid: Iterable[str]) -> None:
    """Raise `InputError` unless `value` is one of `valid`."""
    options = list(valid)
    if value not in options:
        raise InputError(f"{name}: unknown value '{value}'; {nearest(value, options)}")


def require_positive(**values: float | None) -> None:
    """Raise `InputError` for each named value that is not a finite number above 0 (None passes)."""
    for name, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} is {value}; it must be a finite number greater than 0")


def require_at_least(minimum: float, **values: float | None) -> None:
    """Raise `InputError` for each named value below `minimum` or not finite (None passes)."""
    for name, value in values.items():
        if value is not None and not minimum <= value < float("inf"):
            raise InputError(f"{name} is {value}; it must be a finite number, at least {minimum:g}")


def require_fraction(**values: float | None) -> None:
    """Raise `InputError` for each named value outside [0, 1] (None passes)."""
    for name, value in values.items():
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"{name} is {value}; it must lie between 0 and 1")
