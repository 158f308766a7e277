"""Recipe files: where they are, and what one means together with those it extends and a preset of it.

extends: [parts/common.yaml, tina_open_rs2/modern]    # files beside this one, or shipped recipes
grpo: {learning_rate: 2e-6}                           # replaces single keys of a section
presets:
  careful: {grpo: {max_grad_norm: 0.1}}               # `cusp train FILE --preset careful`
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cusp.errors import CuspError

SHIPPED = Path(__file__).parent / "recipes"
PARTS = "parts"  # files in a folder of this name are no recipes by themselves
SUFFIXES = (".yaml", ".yml")


class RecipeError(CuspError, ValueError):
    """A recipe that cannot be used; the message is one sentence with the way out."""


@dataclass(frozen=True)
class RawRecipe:
    """The values of a recipe before they are checked, and the file that each comes from."""

    file: Path
    values: dict[str, Any]
    layers: tuple[tuple[Path, Mapping[str, Any]], ...]

    def origin(self, key: str) -> Path:
        """Return the file that gives a dotted key its value; the recipe's own if none does."""
        return next((file for file, body in reversed(self.layers) if _holds(body, key)), self.file)


def read_recipe(path_or_name: str | Path) -> RawRecipe:
    """Return the values of a file or shipped recipe; `NAME/PRESET` chooses another preset than the first.

    Files that it extends come first, then those that the preset extends, then its own values, then the
    preset's. The keys of a section are replaced one by one; a list, or a value with keys of its own, as a
    whole; a section of another `kind`, too.
    """
    file, preset = locate(path_or_name)
    layers = _layers(file, preset, ())
    values: dict[str, Any] = {}
    for _, body in layers:
        for key, value in body.items():
            values[key] = _merged(values.get(key), value)
    return RawRecipe(file, values, layers)


def locate(path_or_name: str | Path) -> tuple[Path, str | None]:
    """Return the file of a recipe and the preset that is asked for; RecipeError if there is no such file."""
    path = Path(path_or_name)
    if path.suffix in SUFFIXES and path.is_file():
        return path, None
    if path.parent.suffix in SUFFIXES and path.parent.is_file():
        return path.parent, path.name
    name, _, preset = str(path_or_name).partition("/")
    if file := shipped().get(name):
        return file, preset or None
    raise RecipeError(
        f"there is no recipe {str(path_or_name)!r}: give a YAML file or one of {', '.join(sorted(shipped()))}"
    )


def find_recipe(path_or_name: str | Path) -> Path:
    """Return the file of a recipe given by path or by the name of a shipped one."""
    return locate(path_or_name)[0]


def shipped() -> dict[str, Path]:
    """Return the file of each shipped recipe by name; one in a folder has the folder's name before its own."""
    files = [*SHIPPED.glob("*.yaml"), *SHIPPED.glob("*/*.yaml")]
    return {
        "_".join((*file.relative_to(SHIPPED).parent.parts, file.stem)): file
        for file in files
        if file.parent.name != PARTS
    }


def preset_names(path_or_name: str | Path) -> tuple[str, ...]:
    """Return the names of a recipe's presets, of which the first is the one without asking."""
    file, _ = locate(path_or_name)
    return tuple(_presets(read_yaml(file), file))


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes, with `NAME/PRESET` for each preset; `NAME` means its first."""
    return list(_recipe_names())


@cache  # a worker asks at every job, and shipped files do not change
def _recipe_names() -> tuple[str, ...]:
    names = [
        each
        for name in shipped()
        for each in (name, *(f"{name}/{preset}" for preset in preset_names(name)))
    ]
    return tuple(sorted(names))


def title(path_or_name: str | Path) -> str:
    """Return the first line of a recipe's file, which says what it is, or nothing."""
    first = find_recipe(path_or_name).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; RecipeError if it is none."""
    try:
        raw = parsed(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file} is no text (byte {error.start} is not UTF-8)") from None
    except OSError as error:
        raise RecipeError(f"{file} cannot be read ({error.strerror})") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{file} holds no recipe: it must be a mapping of sections")
    return raw


def parsed(text: str, place: str) -> Any:
    """Return the value that YAML text stands for; RecipeError names its `place`."""
    try:
        return yaml().load(text)
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


def yaml() -> YAML:
    """Return a reader and writer of YAML 1.2 that constructs plain values only."""
    return YAML(typ="safe", pure=True)


def _layers(
    file: Path, preset: str | None, chain: tuple[Path, ...]
) -> tuple[tuple[Path, dict[str, Any]], ...]:
    """Return the bodies that make up a recipe, each with its file, in the order in which they are merged."""
    if file.resolve() in chain:
        raise RecipeError(f"{file} extends itself; take it out of `extends`")
    body = read_yaml(file)
    presets = _presets(body, file)
    if preset is not None and preset not in presets:
        known = f"it has {', '.join(presets)}" if presets else "it has none"
        raise RecipeError(f"{file} has no preset {preset!r}; {known}")
    chosen = dict(presets[preset or next(iter(presets))]) if presets else {}
    body.pop("presets", None)
    entries = [*_extended(body, file), *_extended(chosen, file)]
    found = [_layers(*_beside(file, each), (*chain, file.resolve())) for each in entries]
    return (*(layer for layers in found for layer in layers), (file, body), (file, chosen))


def _presets(body: Mapping[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    presets = body.get("presets", {})
    if not isinstance(presets, dict) or not all(isinstance(one, dict) for one in presets.values()):
        raise RecipeError(f"{file}: `presets` must be sections by the name of a preset")
    return presets


def _extended(body: dict[str, Any], file: Path) -> list[str]:
    """Take `extends` out of a body and return it."""
    entries = body.pop("extends", [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise RecipeError(f"{file}: `extends` must be a list of files or names of shipped recipes")
    return entries


def _beside(file: Path, entry: str) -> tuple[Path, str | None]:
    """Return the file and preset that an entry of `extends` names: beside `file`, shipped, or by name."""
    for folder in (file.parent, SHIPPED):
        if (path := folder / entry).suffix in SUFFIXES and path.is_file():
            return path, None
    try:
        return locate(entry)
    except RecipeError as error:
        raise RecipeError(f"{file} extends {entry!r}, but {error}") from None


def _merged(before: object, value: object) -> object:
    """Return a section with the keys of `value` replaced, or `value` where the two are no sections of one kind."""
    if not isinstance(before, dict) or not isinstance(value, dict):
        return value
    if "kind" in value and value["kind"] != before.get("kind"):
        return value
    return {**before, **value}


def _holds(body: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(body, Mapping) or part not in body:
            return isinstance(body, list)  # an item of a list is given where the list is
        body = body[part]
    return True
