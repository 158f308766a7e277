"""`cusp tasks`: the tasks and suites of evaluations, and copies of their problems on this box."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cusp import settings
from cusp.cli.support.command_list import CommandList
from cusp.cli.support.output import AsJson, console, dash, print_json, print_table
from cusp.cli.support.requirements import need
from cusp.errors import CuspError
from cusp.process.secret_files import give_to_libraries

app = typer.Typer(
    cls=CommandList,
    no_args_is_help=True,
    help="List, show and fetch the tasks that checkpoints are scored on.",
)

Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Tasks, or suites for all tasks of theirs.")
]
File = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Import this file instead of asking the hub."),
]
Revision = Annotated[
    str | None, typer.Option(help="A branch, tag or commit of the data set; default: main.")
]


class UnusableFile(CuspError, ValueError):
    """`--from` was given for several tasks, or for one that has no file."""


@app.command("list")
def list_tasks(as_json: AsJson = False) -> None:
    """List the tasks and the suites, and which tasks are on this box.

    Example: cusp tasks list
    """
    need("tasks list", "trainer")
    found, suites = _tasks(), _suites()
    if as_json:
        print_json({"tasks": found, "suites": suites})
        return
    rows = [
        [each["name"], dash(each["problems"]), each["here"], each["judge"], each["source"]]
        for each in found
    ]
    print_table("Tasks", ["task", "problems", "on this box", "judge", "source"], rows)
    rows = [[each["name"], each["selection"]["name"], each["title"]] for each in suites]
    print_table("Suites", ["suite", "chosen on", "what it is"], rows)


@app.command("show")
def show_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task or a suite.")],
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a task: source, columns, prompt, judge, licence, copy; or of a suite.

    Example: cusp tasks show gpqa_diamond
    """
    need("tasks show", "trainer")
    from trainer.evaluation.tasks.catalogue import benchmark

    known = {each["name"]: each for each in (*_suites(), *_tasks())}
    if name not in known:
        benchmark(name)  # says which there are
    if as_json:
        print_json(known[name])
        return
    for key, value in known[name].items():
        if key == "report":
            rows = [[each["name"], str(each["samples"]), dash(each["problems"])] for each in value]
            print_table("reported on", ["task", "samples a problem", "problems"], rows)
        elif isinstance(value, dict):
            for inner, own in value.items():
                console().print(f"{key}.{inner}: {dash(own)}", markup=False)
        else:
            console().print(f"{key}: {dash(value)}", markup=False)


@app.command("fetch")
def fetch_tasks(
    names: Names, file: File = None, revision: Revision = None, as_json: AsJson = False
) -> None:
    """Copy the problems of tasks to this box, with a checksum; evaluations read only these copies.

    Examples: cusp tasks fetch tina; cusp tasks fetch aime24 --from aime24.jsonl
    """
    need("tasks fetch", "trainer")
    from trainer.evaluation.tasks.fetching import fetch, import_file

    chosen = _benchmarks(names)
    if file is not None and len(chosen) != 1:
        raise UnusableFile(f"--from {file} holds the problems of one task; name one")
    give_to_libraries("HF_TOKEN")
    directory = settings.from_environment().directory
    copies = []
    for each in chosen:
        copy = import_file(each, file, directory) if file else fetch(each, directory, revision)
        copies.append({**copy.model_dump(mode="json"), "expected": each.problems})
        if not as_json:
            at = f" at {copy.commit}" if copy.commit else ""
            unlike = f" (expected {each.problems})" if copy.problems != each.problems else ""
            console().print(
                f"{each.name}: {copy.problems} problems{unlike} of {copy.source}{at}, sha256"
                f" {copy.sha256[:12]}",
                markup=False,
            )
    if as_json:
        print_json(copies)


def _benchmarks(names: list[str]) -> list[Any]:
    """Return the benchmarks that are named, or that the suites named have; those built in need no copy."""
    from trainer.evaluation.tasks.catalogue import benchmark
    from trainer.evaluation.tasks.of_suite import is_built_in
    from trainer.evaluation.tasks.suites import SUITES

    found: dict[str, Any] = {}
    for name in names:
        suite = SUITES.get(name)
        within = [each.name for each in suite.report] + [suite.selection.name] if suite else [name]
        for each in within:
            if not is_built_in(each):
                found.setdefault(each, benchmark(each))
    if not found:
        raise UnusableFile(
            f"{', '.join(names)}: nothing to fetch, their problems come with Cusp or pip"
        )
    return list(found.values())


def _tasks() -> list[dict[str, Any]]:
    from trainer.evaluation.tasks.catalogue import CATALOGUE
    from trainer.evaluation.tasks.task_copies import copy_of

    directory = settings.from_environment().directory
    found = []
    for each in CATALOGUE.values():
        copy = copy_of(directory, each.name)
        found.append(
            {
                "name": each.name,
                "title": each.title,
                "problems": each.problems,
                "here": f"{copy.problems} problems" if copy else "no",
                "judge": each.judge,
                "source": each.hub_id,
                "config": each.config,
                "revision": each.revision,
                "split": each.split,
                "problem": each.problem,
                "answer": each.answer
                if each.gold == "column"
                else f"the last box in {each.answer}",
                "wrong": list(each.wrong),
                "prompt": each.prompt,
                "licence": each.licence,
                "gated": each.gated,
                "unverified": each.unverified or None,
                "copy": copy.model_dump(mode="json") if copy else None,
            }
        )
    return [*found, *_built_in()]


_INSTALLED = (
    ("champ", "competition problems (arXiv 2401.06961), MIT", 270, "lighteval", "champ-dataset"),
    (
        "reasoning_gym:TASK",
        "generated problems of one of 106 tasks, Apache-2.0",
        None,
        "reasoning_gym",
        "reasoning-gym",
    ),
    ("tiny", "additions of the embedded model", None, "boxed_integer", None),
)


def _built_in() -> list[dict[str, Any]]:
    from importlib.util import find_spec

    found = []
    for name, title, problems, judge, package in _INSTALLED:
        there = package is None or find_spec(package.replace("-", "_")) is not None
        found.append(
            {
                "name": name,
                "title": title,
                "problems": problems,
                "here": "yes" if there else f"no: pip install {package}",
                "judge": judge,
                "source": f"PyPI: {package}" if package else "Cusp",
            }
        )
    return found


def _suites() -> list[dict[str, Any]]:
    from trainer.evaluation.tasks.suites import SUITES

    return [
        {
            "name": name,
            "title": suite.title,
            "selection": suite.selection.model_dump(),
            "report": [
                {"name": each.name, "samples": each.samples_per_problem, "problems": each.problems}
                for each in suite.report
            ],
        }
        for name, suite in SUITES.items()
    ]
