"""The result of a comparison in Python."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tasks.config.escape import escape_html
from tasks.reporting.formatting import TextTable
from tasks.reporting.templating import template_environment


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """Result of a comparison: where its report is, and the tables that are needed most.

    `print(result)` prints the summary; a notebook shows it as a table. The other tables are in `run_dir`/tables.

    Attributes:
        run_dir: The run directory.
        report: The page with all figures, in the run directory.
        summary: One row per architecture, split and metric: mean, standard deviation and confidence interval.
        scores: One row per architecture, seed, split and metric.
        verdict: Sentences on the comparison.
        source: Description of the data set.
        table: The summary as it is shown, one row per architecture.
        text: The summary for a terminal; control characters are escaped.
    """

    run_dir: Path
    report: Path
    summary: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    verdict: Sequence[str] = field(repr=False)
    source: str
    table: TextTable = field(repr=False)
    text: str = field(repr=False)

    def __str__(self) -> str:
        """Return the summary for a terminal."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the summary table, the verdict and the path of the report as HTML, for a notebook."""
        return template_environment(escape_html).get_template("result.html.j2").render(result=self)
