"""What the nights measured: `python -m flows.cli.history` prints the trend and the alarms, and draws them."""
# PYTHON_ARGCOMPLETE_OK

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, Field

from flows.cli.arguments import parse
from flows.cli.run import complain, say
from tasks.config import parameters
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.figures.style import palette, save, style
from tasks.nightly import history
from tasks.nightly.trend import night_frames
from tasks.reporting.nightly_text import alarms_in_words, night_table
from tasks.storage import store
from tasks.storage.s3 import in_bucket, results_place


class Asked(BaseModel):
    """Print how the scores went, night by night, and what the regression check says; draw it."""

    results: parameters.Results = "results"
    configuration: Annotated[
        str | None, Field(description="Which nights, by the name in their folder configuration=…; by default the last.")
    ] = None
    remove: Annotated[
        str | None,
        Field(min_length=1, description="Take the run of exactly this name out of the history, and print no trend."),
    ] = None


def main(arguments: Sequence[str]) -> int:
    """Print and draw the trend.

    Returns:
        The exit code: 0; 1 if the system refuses to remove a run; 2 for a mistake, such as a folder without a history.
    """
    try:
        asked = parse(Asked, arguments, "flows.cli.history")
        place = results_place(asked.results)
        say(told(place, asked.configuration) if asked.remove is None else removed(place, asked.remove))
    except UserError as mistake:
        complain(mistake)
        return 1 if isinstance(mistake, OSError) else 2
    return 0


def told(place: Path, configuration: str | None) -> str:
    """Draw the nights of a configuration into `place`/history, and return them as text.

    Raises:
        UserError: If there are none.
    """
    past = history.read(place, complain)
    wanted = past if configuration is None else past[past["configuration"] == configuration]
    if wanted.empty:
        known = ", ".join(map(escape_terminal, dict.fromkeys(past["configuration"]))) or "none yet; every run adds one"
        raise UserError(f"{escape_terminal(place / 'history')} has no such nights. Configurations in it: {known}.")
    where = {name: str(wanted[name].iloc[-1]) for name in ("data", "configuration")}
    frames = night_frames(past, where)
    table = night_table(frames).drop(columns="Alarms").map(escape_terminal).to_string(index=False)
    raised = {night: alarms_in_words(frames["alarms"], night) for night in dict.fromkeys(frames["alarms"]["night"])}
    said = ["\n  ".join([f"Alarm of {escape_terminal(night)}:", *words]) for night, words in raised.items()]
    others = len(past[list(where)].drop_duplicates()) - 1
    named = f"Reviews {where['data']}, configuration {where['configuration']}"
    title = escape_terminal(named) + (f"; {others} others" if others else "")
    drawn = drawing(frames, place)
    return "\n\n".join(
        [title, table, *(said or ["No alarm."]), *([f"Picture: {escape_terminal(drawn)}"] if drawn else [])]
    )


def removed(place: Path, run: str) -> str:
    """Take a run out of the history, and say what was removed.

    Raises:
        UserError: If no run of the history has that name.
    """
    with store.writing(place / "history"):
        files = history.remove(place, run)
    if not files:
        past = history.read(place, complain)
        known = list(dict.fromkeys(past["run"][::-1])) if len(past) else []
        shown = ", ".join(f"{name!r:.120}" for name in known[:10]) + (", …" if len(known) > 10 else "")
        raise UserError(
            f"remove: no run in {place / 'history'} is called {run!r:.120}. The last are: {shown or 'none'}."
        )
    names = ", ".join(str(file.relative_to(place)) for file in files)
    return f"Removed {run!r:.120} from the history ({names}). Its report in {place / 'runs'} and its trainings stay."


def drawing(frames: dict[str, pd.DataFrame], place: Path) -> Path | None:
    """Draw the trend as history/trend.png and .svg; None for a single night, or in a bucket."""
    from tasks.figures.nightly import nights

    with style():
        figure = nights(**frames, colours=palette(frames["nights"]["architecture"]))
    if figure is None or in_bucket(place):
        return None
    try:
        return save(figure, place / "history", "trend")["png"]
    except OSError as error:  # a folder that may only be read: the table is told all the same
        complain(f"The picture was not written: {error}")
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
