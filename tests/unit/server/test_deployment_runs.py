"""Runs of deployments fail with the sentence of the command line; the flows are called without Prefect."""

import logging
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.imdb_compare import imdb_compare
from flows.predict import imdb_predict
from tasks.config.errors import UserError
from tasks.config.log_filters import RUN_LOGGERS


def test_a_wrong_file_is_the_sentence_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)
    assert main(["run", "--data", "nix.csv", "--results", str(tmp_path)]) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("There is no file 'nix.csv'")
    with pytest.raises(UserError) as refusal:
        imdb_compare.fn(data="nix.csv", results=str(tmp_path))
    assert str(refusal.value) == sentence
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_to_predict_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^There is no file 'nix\.csv'"):
        imdb_predict.fn(file=Path("nix.csv"), output=tmp_path / "scored.csv")


def test_an_unknown_architecture_is_reported_with_the_choices_only() -> None:
    with pytest.raises(UserError) as refusal:
        imdb_compare.validate_parameters({"architectures": ["gru2"]})
    (line,) = str(refusal.value).splitlines()
    assert line.startswith("architectures.0: received 'gru2'. Unknown architecture 'gru2'. Choose from: simple_rnn")
    assert "at least" not in line


@pytest.mark.parametrize("name", RUN_LOGGERS)
def test_a_user_error_has_no_traceback_in_the_log_of_a_deployment_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, error = logging.getLogger(name), UserError("wrong")
    monkeypatch.setattr(logger, "filters", [])
    with pytest.raises(UserError):
        imdb_compare.validate_parameters({"architectures": ["gru2"]})
    failed = "Engine execution exited with unexpected exception"
    record = logger.makeRecord(name, logging.ERROR, "", 0, failed, (), (UserError, error, error.__traceback__))
    assert logger.filter(record)
    assert record.getMessage() == failed
    assert record.exc_info is None
