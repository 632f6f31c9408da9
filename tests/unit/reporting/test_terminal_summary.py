"""The verdict and its table in a terminal."""

from pathlib import Path

from tasks.report import BOX_WIDTH, MAX_CELL_LENGTH, format_summary, format_terminal_table
from tasks.reporting.formatting import Cell, FormattedNumber, TextTable


def number(text: str) -> FormattedNumber:
    return FormattedNumber(text, text, 0.0)


def make_table(name: str = "LSTM") -> TextTable:
    scores, costs = ["Validation accuracy (%)", "Test accuracy (%)"], ["Parameters", "Training (s)", "Prediction"]
    header = ["Architecture", *scores, "Difference", "Verdict", *costs]
    best: list[Cell] = ["GRU", number("89.00"), number("88.00"), number("–"), "recommended", number("5"),
                        number("20.0"), number("1")]  # fmt: skip
    other: list[Cell] = [name, number("8.00"), number("7.00"), number("-81.00 [-82.00, -80.00]"), "worse", number("6"),
                         number("3.0"), number("2")]  # fmt: skip
    return TextTable(header, [best, other])


def test_table_fits_into_a_terminal_and_columns_are_aligned() -> None:
    title, header, *rows = format_terminal_table("GRU", make_table("Bidirectional LSTM")).splitlines()
    assert "GRU" in title
    assert max(map(len, [title, header, *rows])) <= BOX_WIDTH
    assert [row.split()[0] for row in rows] == ["GRU", "Bidirectional"]
    assert len({row.index(word) for row, word in zip(rows, ("recommended", "worse"), strict=True)}) == 1
    assert header.index("Verdict") == rows[0].index("recommended")
    assert rows[0].index("88.00") + 5 == rows[1].index("7.00") + 4


def test_training_time_is_shown_with_and_without_a_search() -> None:
    table = make_table()
    tuned = TextTable([*table.header, "Tuning (CPU s)"], [[*row, number("99.0")] for row in table.rows])
    for each in (table, tuned):
        _, _, *rows = format_terminal_table("GRU", each).splitlines()
        assert [row.split()[-1] for row in rows] == ["20.0", "3.0"]


def test_long_names_are_cut_and_control_characters_escaped() -> None:
    table = format_terminal_table("GRU\x1b[2J", make_table("x" * 90 + "\x1b[2J"))
    assert "\x1b" not in table
    assert f"{'x' * MAX_CELL_LENGTH}…" in table


def test_verdict_is_the_end_of_the_output() -> None:
    text = format_summary("reviews.csv", "the table", [], ["Use GRU.", "It is the best."], Path("report.html"))
    assert text.index("reviews.csv") < text.index("the table") < text.index("Use GRU.") < text.index("report.html")
    assert "│ Use GRU.\n│ It is the best.\n" in text
