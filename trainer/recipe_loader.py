"""Read a recipe strictly: one YAML file and dotted overrides in, one typed `Recipe` out."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cusp.errors import CuspError
from trainer.recipe import Recipe

SHIPPED = Path(__file__).parent / "recipes"


class RecipeError(CuspError, ValueError):
    """A recipe that cannot be used; the message is one sentence with the way out."""


def load_recipe(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a file, or the shipped one of that name, with `key=value` overrides.

    A key is dotted (`grpo.learning_rate=1e-4`), a list item goes by its `name` or its number
    (`rewards.format.weight=2`), a value is YAML, and `@NAME` stands for the same section of
    another recipe (`model=@tiny`). Raises RecipeError for anything that is not exactly right.
    """
    file = find_recipe(path_or_name)
    raw = _read(file)
    for override in overrides:
        _apply(raw, override, file)
    return parse(raw, file, overrides)


def find_recipe(path_or_name: str | Path) -> Path:
    """Return the file of a recipe given by path or by the name of a shipped one."""
    path, shipped = Path(path_or_name), SHIPPED / f"{path_or_name}.yaml"
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    if path.name == str(path_or_name) and shipped.is_file():
        return shipped
    names = ", ".join(recipe_names())
    raise RecipeError(
        f"there is no recipe {str(path_or_name)!r}: give a YAML file or one of {names}"
    )


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def parse(raw: object, file: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return `raw` as a recipe; `file`, or the override that it came with, is named in errors."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(_sentence(error, file, overrides)) from None


def write_recipe(recipe: Recipe, file: Path) -> None:
    """Write the resolved recipe so that `load_recipe` reads the same back."""
    writer = _yaml()
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed as None
    writer.width = sys.maxsize  # where ruamel.yaml 0.19 folds a quoted line it may add a blank
    with file.open("w", encoding="utf-8") as out:
        writer.dump(recipe.model_dump(mode="json"), out)


def _yaml() -> YAML:
    """Return a reader and writer of YAML 1.2 that constructs plain values only."""
    return YAML(typ="safe", pure=True)


def _parsed(text: str, place: str) -> Any:
    """Return the value that YAML text stands for; RecipeError names its `place`."""
    try:
        return _yaml().load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1]
        where = f"the second time in line {error.problem_mark.line + 1}"
        raise RecipeError(f"{place}: the key {key!r} comes twice, {where}") from None
    except MarkedYAMLError as error:
        found = " ".join(part for part in (error.context, error.problem) if part)
        line = error.problem_mark.line + 1
        raise RecipeError(f"{place} is no valid YAML: {found}, in line {line}") from None
    except (YAMLError, ValueError, KeyError) as error:
        raise RecipeError(f"{place} is no valid YAML: {error}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        raw = _parsed(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file} is no text (byte {error.start} is not UTF-8)") from None
    except OSError as error:
        raise RecipeError(f"{file} cannot be read ({error.strerror})") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{file} holds no recipe: it must be a mapping of sections")
    return raw


def _apply(raw: dict[str, Any], override: str, file: Path) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise RecipeError(f"{override!r} is no override: write key=value, such as seed=1")
    value = _value(path, text)
    target: Any = raw
    for depth, part in enumerate(path):
        index = _index(target, part)
        if index is None:
            raise RecipeError(_unknown(".".join(path[: depth + 1]), _keys(target), file))
        if depth == len(path) - 1:
            target[index] = value
        target = target[index]


def _value(path: list[str], text: str) -> Any:
    if text.startswith("@"):
        source: Any = _read(find_recipe(text[1:]))
        for part in path:
            index = _index(source, part)
            if index is None:
                raise RecipeError(f"{text[1:]!r} has no section {'.'.join(path)!r}")
            source = source[index]
        return source
    return _parsed(text, f"the value {text!r} of {'.'.join(path)}")


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


def _sentence(error: ValidationError, file: Path, overrides: Sequence[str]) -> str:
    """Return the first problem as a sentence with the key, the value and the way out."""
    problem = error.errors(include_url=False)[0]
    known, key = _resolve(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown(key, known, file)
    if problem["type"] == "missing":
        return f"the key {key!r} is missing in {file}; a recipe states every value"
    if not problem["loc"]:
        return f"{file}: {_demand(problem)}"
    wrong_kind = problem["type"] == "union_tag_invalid"
    key, value = (f"{key}.kind", problem["ctx"]["tag"]) if wrong_kind else (key, problem["input"])
    given = [one for one in overrides if f"{key}.".startswith(f"{one.partition('=')[0].strip()}.")]
    place = f"the override {given[-1]!r}" if given else str(file)
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
