"""Whatever a person calls a run, a file or an architecture: it is refused, or stays where it belongs."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.cli.arguments import parse
from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.data.datasets import DATASETS, check_source
from tasks.reporting.run_directory import settle

EVIL = [
    "../x", "/etc/x", "", "x" * 300, "a\0b", "a\nb", "-rf", "🎬", "..", ".", "~", "a/b", "a\\b", "$(touch x)", "`x`",
]  # fmt: skip
names = st.one_of(st.sampled_from(EVIL), st.text(max_size=20), st.text("./\\ab-~", max_size=9))


@pytest.mark.fault(24)
@given(name=names)
def test_a_run_stays_in_its_folder_or_is_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    results = tmp_path_factory.mktemp("results")
    try:
        parameters = Parameters.checked(run_name=name, results=results)
    except UserError as refused:
        assert "run_name" in str(refused)
        assert len(str(refused).splitlines()) == 1
        return
    partial = results / "runs" / f".{parameters.run_name}.1.partial"
    partial.mkdir(parents=True)
    assert settle(partial, results, str(parameters.run_name)) == results / "runs" / name
    assert sorted(path.name for path in results.iterdir()) == ["latest", "runs"]
    assert (results / "latest").resolve() == results / "runs" / name


@pytest.mark.fault(24)
@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("option", ["--architectures", "--data", "--run-name", "--seeds", "--nonsense"])
def test_an_evil_word_on_the_command_line_is_one_message(name: str, option: str) -> None:
    if option == "--nonsense":
        with pytest.raises((UserError, SystemExit)):
            parse(Parameters, [f"{option}={name}"], "flows.imdb_compare")
        return
    with pytest.raises(UserError) as refused:
        check_source(parse(Parameters, [f"{option}={name}"], "flows.imdb_compare").data)
    assert len(str(refused.value)) < 1_500


@pytest.mark.fault(24)
@given(name=names)
@example("auto ")
def test_a_source_is_known_or_a_file_or_refused(name: str) -> None:
    if name in DATASETS:
        return
    with pytest.raises(UserError, match="Allowed: "):
        check_source(name)
