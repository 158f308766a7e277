"""`cusp recipes`."""

import json
from typing import Annotated

import typer

from cusp.cli.support.output import AsJson, print_json, print_table
from cusp.cli.support.requirements import need
from cusp.errors import CuspError

Name = Annotated[
    str | None, typer.Argument(help="A shipped recipe, NAME/PRESET of one, or a YAML file.")
]
Diff = Annotated[
    tuple[str, str] | None,
    typer.Option("--diff", metavar="A B", help="Show where the values of two recipes differ."),
]


class PresetOfNothing(CuspError, ValueError):
    """A preset was asked for without a recipe that could have it."""


def of_preset(recipe: str | None, preset: str | None) -> str | None:
    """Return the name of a recipe's preset.

    >>> of_preset("tina_limr", "modern"), of_preset("tiny", None)
    ('tina_limr/modern', 'tiny')
    """
    if preset is None:
        return recipe
    if recipe is None:
        raise PresetOfNothing(
            f"--preset {preset} needs a recipe, such as `cusp train tina_limr --preset {preset}`; a resumed"
            " run goes on with its own values"
        )
    return f"{recipe}/{preset}"


def recipes(name: Name = None, diff: Diff = None, as_json: AsJson = False) -> None:
    """List the recipes, show every value of one, or compare two.

    Examples: cusp recipes; cusp recipes tina_limr/modern; cusp recipes --diff tina_limr tina_limr/modern
    """
    need("recipes", "trainer")
    if diff:
        _compare(*diff, as_json=as_json)
    elif name:
        _show(name, as_json=as_json)
    else:
        _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from trainer.recipe_files import preset_names, shipped, title

    found = [
        {"name": name, "presets": list(preset_names(name)), "title": title(name)}
        for name in sorted(shipped())
    ]
    if as_json:
        print_json(found)
        return
    rows = [[str(each["name"]), ", ".join(each["presets"]), str(each["title"])] for each in found]
    print_table("Recipes", ["recipe", "presets", "what it is"], rows)


def _show(name: str, *, as_json: bool) -> None:
    from trainer.recipe_loader import load_recipe, recipe_text

    recipe = load_recipe(name)
    if as_json:
        print_json(recipe.model_dump(mode="json"))
    else:
        typer.echo(recipe_text(recipe), nl=False)


def _compare(first: str, second: str, *, as_json: bool) -> None:
    from trainer.recipe_loader import load_recipe
    from trainer.recipe_values import ABSENT, difference

    found = difference(load_recipe(first), load_recipe(second))
    if as_json:
        print_json(
            [
                {
                    "key": key,
                    "values": [None if each == ABSENT else json.loads(each) for each in values],
                    "absent": [each == ABSENT for each in values],
                }
                for key, *values in found
            ]
        )
    elif found:
        print_table("What differs", ["key", first, second], found)
    else:
        typer.echo(f"{first} and {second} have the same values")
