"""The maps are true: what README, docs and docstrings name is there, and the tree and layers are the real ones."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cusp", "monitor", "trainer", "webui")
ARCHITECTURE = "docs/architecture.md"
FOLDERS = "cusp|monitor|trainer|webui|benchmarks|docs|tests|migrations|docker"
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*[\w/](?![\w*{{<])")
NAME = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`")


@cache
def files() -> tuple[str, ...]:
    """Return every file that git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(sorted(name for name in listed.stdout.splitlines() if (ROOT / name).is_file()))


@cache
def folders() -> frozenset[str]:
    """Return every folder that holds a file, with a slash at its end, and the folders above it."""
    return frozenset(f"{above}/" for name in files() for above in PurePosixPath(name).parents)


def read(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str) -> list[str]:
    """Return the fenced blocks of a document."""
    return re.findall(r"^```\n(.*?)^```$", read(name), flags=re.M | re.S)


def the_map() -> str:
    """Return README's table of what to open for a change."""
    return read("README.md").partition("## Where to change what")[2].partition("\n## ")[0]


def documents() -> list[str]:
    texts = [name for name in files() if name.endswith(".md") and name != "CHANGELOG.md"]
    return [name for name in texts if not name.startswith("docs/decisions/")]  # they tell of then


def sources() -> list[str]:
    return [name for name in files() if name.endswith((".py", ".js", ".html", ".toml", ".css"))]


@pytest.mark.parametrize("name", [*documents(), "Makefile", "docker-compose.yml"])
def test_every_path_that_a_document_names_is_there(name: str) -> None:
    assert [found for found in PATH.findall(read(name)) if not is_there(found)] == []


def test_every_file_that_a_source_names_is_there() -> None:
    ending = (".py", ".md", ".yaml", ".js", ".css", ".html")
    gone = [
        f"{name} names {found}"
        for name in sources()
        if not name.startswith("tests/")
        for found in PATH.findall(read(name))
        if found.endswith(ending) and not is_there(found)
    ]
    assert gone == []


@pytest.mark.parametrize("name", documents())
def test_every_link_of_a_document_leads_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(name))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    here = (ROOT / name).parent
    assert [link for link in local if not (here / link).exists()] == []


def is_there(path: str) -> bool:
    return path in files() or f"{path.rstrip('/')}/" in folders()


@pytest.mark.parametrize("name", sorted(set(NAME.findall(read(ARCHITECTURE) + the_map()))))
def test_a_name_in_the_maps_is_there(name: str) -> None:
    assert problem(name) is None


def problem(name: str) -> str | None:
    """Return a sentence on a dotted name that does not lead to a definition, None if it does."""
    parts = name.split(".")
    module = [parts[0]]
    while module_file([*module, *parts[len(module) : len(module) + 1]]) and len(module) < len(
        parts
    ):
        module.append(parts[len(module)])
    file = module_file(module)
    rest = parts[len(module) :]
    if file is None:
        return f"there is no module {'.'.join(module)}"
    body: list[ast.stmt] = ast.parse(read(file)).body
    for number, part in enumerate(rest):
        found = dict(definitions(body, top=number == 0))
        if part not in found:
            return (
                f"{name}: {file} has no {'.'.join(rest[: number + 1])}; if it was moved or renamed,"
                f" say so in {ARCHITECTURE} or README.md"
            )
        body = found[part]
    return None


def module_file(parts: list[str]) -> str | None:
    place = "/".join(parts)
    return next((f for f in (f"{place}.py", f"{place}/__init__.py") if f in files()), None)


def definitions(body: list[ast.stmt], *, top: bool) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield what a body defines, with its own body; at the top of a module also what it imports."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.body
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, []
        elif isinstance(node, ast.Assign):
            yield from ((to.id, []) for to in node.targets if isinstance(to, ast.Name))
        elif top and isinstance(node, ast.ImportFrom):
            yield from ((each.asname or each.name, []) for each in node.names)
        elif top and isinstance(node, ast.If):
            yield from definitions(node.body, top=top)


def test_a_name_that_is_gone_is_said_in_a_sentence() -> None:
    assert problem("cusp.run.Run.log") is None
    assert problem("cusp.watch") is None
    assert "cusp/run.py has no Run.logs;" in (problem("cusp.run.Run.logs") or "")
    assert problem("monitor.gone.function") is not None


def test_the_tree_names_every_folder_once() -> None:
    told = re.findall(rf"^((?:{'|'.join(PACKAGES)})/\S*)", blocks(ARCHITECTURE)[0], flags=re.M)
    real = {folder for folder in folders() if folder.split("/")[0] in PACKAGES}
    assert sorted(told) == sorted(real)


def test_the_layers_told_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    enforced = {
        contract["containers"][0]: " > ".join(contract["layers"])
        for contract in contracts
        if contract["type"] == "layers"
    }
    told = dict(line.split(maxsplit=1) for line in blocks(ARCHITECTURE)[1].splitlines())
    lines = "\n".join(f"{name:9} {layers}" for name, layers in enforced.items())
    assert told == enforced, f"write these lines into {ARCHITECTURE}:\n{lines}"


def test_the_index_has_every_document_once() -> None:
    listed = re.findall(r"^- \[([^\]]+)\]", read("docs/README.md"), flags=re.M)
    pages = [
        name.removeprefix("docs/")
        for name in files()
        if re.fullmatch(r"docs/(explanation|reference)/[\w-]+\.md|docs/architecture\.md", name)
    ]
    assert sorted(name for name in listed if not name.startswith("..") and "." in name) == sorted(
        pages
    )
