"""Read a recipe strictly: YAML files and dotted overrides in, one typed `Recipe` out."""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainer.recipe import Recipe
from trainer.recipe_files import RecipeError, parsed, read_recipe, recipe_names, yaml

__all__ = ["RecipeError", "load_recipe", "parse", "recipe_names", "write_recipe"]


def load_recipe(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a file, or the shipped one of that name, with `key=value` overrides.

    A key is dotted (`grpo.learning_rate=1e-4`), a list item goes by its `name` or its number
    (`rewards.format.weight=2`), a value is YAML, and `@NAME` stands for the same section of
    another recipe (`model=@tiny`). `NAME/PRESET` is another preset of a recipe than its first.
    Raises RecipeError for anything that is not exactly right.
    """
    raw = read_recipe(path_or_name)
    values = {**_newer_sections(), **raw.values}
    for override in overrides:
        _apply(values, override, raw.file)
    return parse(values, raw.file, overrides, raw.origin)


def parse(
    raw: object,
    file: Path,
    overrides: Sequence[str] = (),
    origin: Callable[[str], Path] | None = None,
) -> Recipe:
    """Return `raw` as a recipe; in errors the override that a key came with is named, or its file.

    `origin` says which file a dotted key came from, where it may be another than `file`.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(_sentence(error, file, overrides, origin or (lambda _: file))) from None


def write_recipe(recipe: Recipe, file: Path) -> None:
    """Write the resolved recipe so that `load_recipe` reads the same back.

    The file is there whole, the old or the new one: without it a run cannot be resumed. The same text is not
    written again.
    """
    text = recipe_text(recipe).encode()
    if file.is_file() and file.read_bytes() == text:
        return
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(text)
    part.replace(file)


def recipe_text(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML with every value written out."""
    writer, out = yaml(), StringIO()
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed as None
    writer.width = sys.maxsize  # where ruamel.yaml 0.19 folds a quoted line it may add a blank
    writer.dump(recipe.model_dump(mode="json"), out)
    return out.getvalue()


def _newer_sections() -> dict[str, Any]:
    """Return the sections that recipes were stored without, with what they meant, so that overrides find them."""
    return {
        name: field.get_default().model_dump(mode="json")
        for name, field in Recipe.model_fields.items()
        if not field.is_required()
    }


def _apply(raw: dict[str, Any], override: str, file: Path) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise RecipeError(f"{override!r} is no override: write key=value, such as seed=1")
    value = _value(path, text)
    target: Any = raw
    for depth, part in enumerate(path):
        index = _index(target, part)
        if index is None and depth == len(path) - 1 > 0 and isinstance(target, dict):
            index = (
                part  # a key that the file leaves to its default; an unknown one is refused later
            )
        if index is None:
            raise RecipeError(_unknown(".".join(path[: depth + 1]), _keys(target), file))
        if depth == len(path) - 1:
            target[index] = value
        target = target[index]


def _value(path: list[str], text: str) -> Any:
    if text.startswith("@"):
        source: Any = {**_newer_sections(), **read_recipe(text[1:]).values}
        for part in path:
            index = _index(source, part)
            if index is None:
                raise RecipeError(f"{text[1:]!r} has no section {'.'.join(path)!r}")
            source = source[index]
        return source
    return parsed(text, f"the value {text!r} of {'.'.join(path)}")


def _index(target: object, part: str) -> str | int | None:
    """Return where `part` is in a mapping or list, or None."""
    if isinstance(target, dict):
        return part if part in target else None
    if isinstance(target, list):
        named = [n for n, item in enumerate(target) if part in (str(n), _name(item))]
        return named[0] if named else None
    return None


def _name(item: object) -> object:
    return item.get("name") if isinstance(item, dict) else None


def _keys(target: object) -> list[str]:
    if isinstance(target, dict):
        return [str(key) for key in target]
    return [str(_name(item)) for item in target] if isinstance(target, list) else []


def _unknown(key: str, known: Sequence[str], file: Path) -> str:
    close = difflib.get_close_matches(key.rpartition(".")[2], known, n=1, cutoff=0.0)
    prefix = key.rpartition(".")[0]
    hint = f"; did you mean {prefix + '.' if prefix else ''}{close[0]}?" if close else ""
    return f"unknown key {key!r} in {file}{hint}"


def _sentence(
    error: ValidationError,
    file: Path,
    overrides: Sequence[str],
    origin: Callable[[str], Path],
) -> str:
    """Return the first problem as a sentence with the key, the value and the way out."""
    problem = error.errors(include_url=False)[0]
    known, key = _resolve(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown(key, known, origin(key))
    if problem["type"] == "missing":
        return f"the key {key!r} is missing in {file}; a recipe states every value"
    if not problem["loc"]:
        return f"{file}: {_demand(problem)}"
    wrong_kind = problem["type"] == "union_tag_invalid"
    key, value = (f"{key}.kind", problem["ctx"]["tag"]) if wrong_kind else (key, problem["input"])
    given = [one for one in overrides if f"{key}.".startswith(f"{one.partition('=')[0].strip()}.")]
    place = f"the override {given[-1]!r}" if given else str(origin(key))
    shown = "" if isinstance(value, dict) else f" = {value!r:.80}"
    return f"{key}{shown} in {place} is not allowed: {_demand(problem)}"


# What pydantic says in the words of a programmer, by the beginning of its type.
_DEMANDS = {
    "union_tag_invalid": "it must be one of {expected_tags}",
    "int_": "it must be a whole number",
    "float_": "it must be a number",
    "bool_": "it must be true or false",
    "string_type": "it must be text",
    "literal_error": "it must be {expected}",
    "model_": "it must be a section with keys of its own",
    "dict_type": "it must be a section with keys of its own",
    "tuple_type": "it must be a list",
    "too_short": "the list needs {min_length} or more",
    "too_long": "the list holds {max_length} at most",
    "greater_than_equal": "it must be at least {ge}",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be at most {le}",
    "less_than": "it must be less than {lt}",
}


def _demand(problem: Mapping[str, Any]) -> str:
    for beginning, demand in _DEMANDS.items():
        if problem["type"].startswith(beginning):
            return demand.format(**problem.get("ctx", {}))
    return str(problem["msg"]).removeprefix("Value error, ")


def _resolve(location: Sequence[str | int]) -> tuple[list[str], str]:
    """Return the known keys beside the place of a problem and its dotted key.

    The location of a problem inside a tagged union holds the tag too, which is no key; pydantic's
    schema of a recipe says which part is one.
    """
    schema = Recipe.model_json_schema()
    here: dict[str, Any] = schema
    known, names = [], []
    for part in location:
        here = next((one for one in here.get("anyOf", ()) if one.get("type") != "null"), here)
        if part in (tags := here.get("discriminator", {}).get("mapping", {})):
            here = {"$ref": tags[part]}
        else:
            names.append(str(part))
            known = list(here.get("properties", {}))
            here = here.get("properties", {}).get(part) or here.get("items", {})
        here = schema["$defs"][here["$ref"].rpartition("/")[2]] if "$ref" in here else here
    return known, ".".join(names)
