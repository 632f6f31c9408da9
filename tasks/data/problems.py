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
    """The problems of a file.

    Attributes:
        path: The file.
        found: The occurrences of each problem, in the order in which the problems were found.
    """

    def __init__(self, path: Path) -> None:
        """Begin without problems."""
        self.path = path
        self.found: dict[str, Occurrences] = {}

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
        lines = [f"- {problem}{_shown(occurrences)}" for problem, occurrences in self.found.items()]
        if lines:
            raise UserError("\n".join([f"{escape_terminal(self.path)} cannot be used:", *lines]))


def _shown(occurrences: Occurrences) -> str:
    if not occurrences.count:
        return ""
    more = ", …" if occurrences.count > SHOWN_PLACES else ""
    return f" ({occurrences.count:,} in all: {', '.join(occurrences.first)}{more})"
