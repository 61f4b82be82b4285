"""A group of commands whose help shows the whole first sentence of each command."""

from __future__ import annotations

import click


class Group(click.Group):
    """Like click's own group, which shortens what does not fit into one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(limit=300)) for name, command in commands
                if command is not None and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
