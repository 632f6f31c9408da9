"""Problems of a data file, collected over all rows and reported in one message."""

from dataclasses import dataclass, field
from pathlib import Path

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

SHOWN_PLACES = 5


@dataclass
class Occurrences:
    """How often a problem was found, and the first places, such as "line 3"."""

    count: int = 0
    first: list[str] = field(default_factory=list)


class Problems:
    """The problems of a file, and how it was read.

    Attributes:
        path: The file.
        column_options: Options that name columns.
        found: The occurrences of each problem, in the order in which the problems were found.
        read_as: How the file was read, if not as UTF-8 with commas: "UTF-16", "separated by tabs".
        guess: Sentence on what was guessed; empty if nothing was.
        unit: What the numbers of rows count: line, row or item.
        class_names: Names of the classes by column, if the file contains them.
    """

    def __init__(self, path: Path, column_options: str = "--text-column, --label-column or --group") -> None:
        """Begin without problems."""
        self.path, self.column_options = path, column_options
        self.found: dict[str, Occurrences] = {}
        self.read_as: list[str] = []
        self.guess = ""
        self.unit = "line"
        self.class_names: dict[str, list[str]] = {}

    def add(self, problem: str, place: str | None = None) -> None:
        """Add a problem.

        Args:
            problem: Description, with advice on how to fix it.
            place: Where it was found; None if the problem is one of the whole file. `SHOWN_PLACES` of them are kept.
        """
        occurrences = self.found.setdefault(problem, Occurrences())
        if place is None:
            return
        occurrences.count += 1
        if occurrences.count <= SHOWN_PLACES:
            occurrences.first.append(place)

    def raise_if_any(self) -> None:
        """Raise one error with all problems.

        Raises:
            UserError: If there are any.
        """
        if self.found:
            raise UserError(self.message())

    def message(self) -> str:
        """Return all problems as one text."""
        lines = [f"- {problem}{_shown(occurrences)}" for problem, occurrences in self.found.items()]
        read_as = f" (read as {', '.join(self.read_as)})" if self.read_as else ""
        return "\n".join([f"{escape_terminal(self.path)} cannot be used{read_as}:", *lines])


def _shown(occurrences: Occurrences) -> str:
    if not occurrences.count:
        return ""
    more = ", …" if occurrences.count > SHOWN_PLACES else ""
    return f" ({occurrences.count:,} in all: {', '.join(occurrences.first)}{more})"
