"""Subcommands of `imdb-compare`, called in this process."""

from flows.cli.main import main


def run_subcommand(name: str, *arguments: str) -> int:
    """Run `imdb-compare <name> <arguments>` and return its exit code."""
    try:
        return main([name, *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
