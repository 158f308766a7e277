"""Values of resolved recipes side by side: flattened, compared, and as the table in docs/reference/tina-recipes.md.

python -m trainer.recipe_values > docs/reference/tina-recipes.md
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence

from trainer.recipe import Recipe
from trainer.recipe_files import preset_names, shipped
from trainer.recipe_loader import load_recipe

ABSENT = "–"
FOLDER = "tina"
LONG = (
    60  # characters of a value in the table; longer ones are cut, as no reader compares them by eye
)
_HEAD = """\
# The Tina recipes, resolved

Written by `python -m trainer.recipe_values`; a test compares it with the recipes. What is meant by a key:
[recipes](recipes.md). Why a value is what it is: the comments in `trainer/recipes/tina/`. `tina_X` is the preset
`paper`, `tina_X/modern` the preset `modern`; `as_run` is what very likely ran where a key was mistyped.
"""


def flat(recipe: Recipe) -> dict[str, str]:
    """Return the values of a recipe as text by dotted key; a reward's go by its name.

    >>> flat(load_recipe("tiny"))["rewards.cosine.max_length"]
    '80'
    """
    return dict(_flat("", recipe.model_dump(mode="json")))


def difference(first: Recipe, second: Recipe) -> list[tuple[str, str, str]]:
    """Return (key, value in `first`, value in `second`) where they differ; a dash where a key is not there.

    >>> difference(load_recipe("tiny"), load_recipe("tiny", ["seed=1"]))
    [('seed', '0', '1')]
    """
    one, other = flat(first), flat(second)
    keys = list(dict.fromkeys((*one, *other)))
    pairs = ((key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in keys)
    return [(key, before, after) for key, before, after in pairs if before != after]


def table(names: Sequence[str]) -> str:
    """Return Markdown of the recipes' values: those that all share once, then the others by key."""
    values = {name: flat(load_recipe(name)) for name in names}
    keys = list(dict.fromkeys(key for each in values.values() for key in each))
    shared = [key for key in keys if len({each.get(key) for each in values.values()}) == 1]
    lines = [_HEAD, f"## The same in all {len(names)}", "| key | value |", "|---|---|"]
    first = next(iter(values.values()))
    lines += [f"| `{key}` | {_cell(first[key])} |" for key in shared]
    lines += ["", "## What differs", "| key | value | in |", "|---|---|---|"]
    for key in keys:
        if key not in shared:
            lines += _rows(key, {name: each.get(key, ABSENT) for name, each in values.items()})
    return "\n".join([*lines, ""])


def tina_names() -> list[str]:
    """Return every Tina recipe with every preset, `tina_X/paper` first."""
    return [
        f"{name}/{preset}"
        for name, file in sorted(shipped().items())
        if file.parent.name == FOLDER
        for preset in preset_names(name)
    ]


def _rows(key: str, by_name: Mapping[str, str]) -> Iterator[str]:
    """Yield a row for each value of a key; of many recipes with one value, the other ones are listed."""
    for value in dict.fromkeys(by_name.values()):
        if value != ABSENT:
            names = [name for name, own in by_name.items() if own == value]
            yield f"| `{key}` | {_cell(value)} | {_where(names, list(by_name))} |"


def _where(names: Sequence[str], everyone: Sequence[str]) -> str:
    """Return the recipes as text: a preset as a whole where all of it is meant, presets alike together."""
    presets: dict[str, list[str]] = {}
    for preset in dict.fromkeys(name.partition("/")[2] for name in everyone):
        of_it = [name for name in everyone if name.partition("/")[2] == preset]
        there = [name for name in of_it if name in names]
        lacking = [name for name in of_it if name not in names]
        if there and not lacking:
            presets.setdefault("all", []).append(preset)
        elif there and len(lacking) < len(there):
            presets.setdefault(f"but {_short(lacking)}", []).append(preset)
        elif there:
            presets.setdefault(_short(there), []).append(preset)
    return "; ".join(_phrase(", ".join(alike), which) for which, alike in presets.items())


def _phrase(presets: str, which: str) -> str:
    if which == "all":
        return f"all {presets}"
    return f"{presets} {which}" if which.startswith("but ") else f"{presets}: {which}"


def _short(names: Sequence[str]) -> str:
    return ", ".join(name.partition("/")[0].removeprefix(f"{FOLDER}_") for name in names)


def _cell(value: str) -> str:
    shown = value if len(value) <= LONG else f"{value[:LONG]}… ({len(value)} characters)"
    return f"`{shown}`".replace("|", "\\|")


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for number, each in enumerate(value):
            inner = {name: own for name, own in each.items() if name != "name"}
            yield from _flat(f"{key}.{each.get('name', number)}", inner)
    else:
        yield key, json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(table(tina_names()))
