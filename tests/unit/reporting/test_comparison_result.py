"""The record that a comparison returns."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.reporting.comparison_result import ComparisonResult
from tasks.reporting.formatting import TextTable, format_number

HOSTILE = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture
def result() -> ComparisonResult:
    return ComparisonResult(
        run_dir=Path("runs/first"),
        report=Path("runs/first/report.html"),
        summary=pd.DataFrame({"architecture": ["lstm"] * 10_000}),
        scores=pd.DataFrame({"seed": [0]}),
        verdict=(f"Recommended: {HOSTILE}",),
        source=f"3 reviews of {HOSTILE}",
        table=TextTable(
            ["Architecture", "Accuracy"], [[HOSTILE, format_number(0.9, 2, 100)], ["LSTM", "88.00\n[1, 2]"]]
        ),
        text="the summary",
    )


def test_a_notebook_shows_the_table_with_all_names_escaped(result: ComparisonResult) -> None:
    table = result._repr_html_()
    assert "<script" not in table
    assert "\x1b" not in table
    assert table.count("&lt;script&gt;") == 3
    assert table.count("<tr>") == 3
    assert ">90.00</td>" in table
    assert "runs/first/report.html" in table


def test_printing_gives_the_summary_and_repr_is_short(result: ComparisonResult) -> None:
    assert str(result) == "the summary"
    assert len(repr(result)) < 500
