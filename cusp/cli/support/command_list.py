"""The list of commands in `--help`, each with its whole sentence; by default it is cut at the terminal's width."""

from typing import Any

import typer.core


class CommandList(typer.core.TyperGroup):
    """A group of commands whose help names each with the first paragraph of its own."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command; its line in the list is set, unless it has one."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and not command.short_help:
            command.short_help = " ".join((command.help or "").split("\n\n")[0].split())
        return command
