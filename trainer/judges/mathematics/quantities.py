r"""Numbers with a unit or a noun: `5\text{ m/s}`, "12 apples", "3 cm^2"."""

import re

_NUMBER = r"[-+]?(?:\d[\d.,]*|\.\d+|\\d?frac\s*\{\d+\}\s*\{\d+\}|\d+/\d+)(?:\s*(?:\\times|\*|x)\s*10\^\{?-?\d+\}?)?"
_SPACE = r"(?:\s|\\[ ,;:!]|~)*"
_MEASURED = re.compile(
    rf"\s*\$?(?P<number>{_NUMBER})(?P<between>{_SPACE}(?:\\(?:text|mathrm|rm|textrm|mbox|operatorname)\s*\{{{_SPACE})?)"
    rf"(?P<unit>[A-Za-zµμΩ]+(?:[\s/-]+[A-Za-z]+){{0,2}})\s*\}}?(?:\^\{{?(?P<power>[23])\}}?)?\s*\.?\s*"
)
_SAME_UNITS = (
    ("m", "meter", "meters", "metre", "metres"), ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("km", "kilometer", "kilometers", "kilometre", "kilometres"), ("nm",), ("s", "sec", "second", "seconds"), ("ms",),
    ("min", "minute", "minutes"), ("h", "hr", "hour", "hours"), ("day", "days"), ("week", "weeks"), ("month", "months"),
    ("year", "years"), ("g", "gram", "grams"), ("kg", "kilogram", "kilograms"), ("in", "inch", "inches"),
    ("ft", "foot", "feet"), ("mile", "miles", "mi"), ("m/s", "meters per second"), ("km/h", "kph"),
    ("mph", "miles per hour"), ("j", "joule", "joules"), ("kj",), ("ev",), ("kev",), ("mev",), ("gev",),
    ("n", "newton", "newtons"), ("w", "watt", "watts"), ("pa",), ("kpa",), ("k", "kelvin"), ("hz",), ("mol",),
    ("l", "liter", "liters"), ("ml",), ("cent", "cents"), ("dollar", "dollars"), ("degree", "degrees"),
    ("radian", "radians", "rad"),
)  # fmt: skip
_UNITS = {name: names[0] for names in _SAME_UNITS for name in names}
_NO_UNITS = re.compile(r"\b(?:and|or|to|of|mod|plus|minus|times|choose)\b")


def measured(text: str) -> tuple[str, str | None]:
    r"""Return a number without its unit or noun, and that; other text as it is, with None.

    >>> [measured(text) for text in (r"5\ \text{m/s}", "12 apples", "3 cm^2", "2n", "2 and 3", "7 meters")]
    [('5', 'm/s'), ('12', 'apples'), ('3', 'cm2'), ('2n', None), ('2 and 3', None), ('7', 'm')]
    """
    found = _MEASURED.fullmatch(text)
    if found is None or _NO_UNITS.search(found["unit"]):
        return text, None
    unit = " ".join(found["unit"].split()).lower()
    if "\\" not in found["between"].replace("\\ ", "") and (
        len(unit) == 1 or (not found["between"] and unit not in _UNITS)
    ):
        return text, None  # `2n`, `5 m`: as well a product
    return found["number"], _UNITS.get(unit, unit) + (found["power"] or "")


def same_unit(first: str, second: str) -> bool:
    """Return whether two quantities may be equal: they are not of two different known units.

    >>> same_unit("5 km", "5 cm"), same_unit("5 km", "5"), same_unit("98 values", "98 integers")
    (False, True, True)
    """
    units = {unit for _, unit in (measured(first), measured(second)) if unit}
    return len(units & {*_UNITS.values(), *(f"{each}2" for each in _UNITS)}) < 2
