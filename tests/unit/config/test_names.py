"""Whatever a person calls a run, a file or an architecture: it is refused, or stays where it belongs."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.cli.parser import read_options
from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.data.datasets import DATASETS, check_source
from tasks.reporting.run_directory import publish_run_dir

EVIL = [
    "../x", "/etc/x", "", "x" * 300, "a\0b", "a\nb", "-rf", "🎬", "..", ".", "~", "a/b", "a\\b", "$(touch x)", "`x`",
]  # fmt: skip
names = st.one_of(st.sampled_from(EVIL), st.text(max_size=20), st.text("./\\ab-~", max_size=9))


@pytest.mark.failure_mode("unsafe-name")
@given(name=names)
def test_run_name_stays_in_results_directory_or_is_rejected(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    results = tmp_path_factory.mktemp("results")
    try:
        parameters = Parameters.from_user(run_name=name, results=results)
    except UserError as refused:
        assert "run_name" in str(refused)
        assert len(str(refused).splitlines()) == 1
        return
    partial = results / "runs" / f".{parameters.run_name}.1.partial"
    partial.mkdir(parents=True)
    assert publish_run_dir(partial, results, str(parameters.run_name)) == results / "runs" / name
    assert sorted(path.name for path in results.iterdir()) == ["latest", "runs"]
    assert (results / "latest").resolve() == results / "runs" / name


@pytest.mark.failure_mode("unsafe-name")
@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("option", ["--architectures", "--data", "--run-name", "--seeds", "--nonsense"])
def test_unsafe_option_value_results_in_one_message(name: str, option: str) -> None:
    if option == "--nonsense":
        with pytest.raises((UserError, SystemExit)):
            read_options(Parameters, [f"{option}={name}"])
        return
    with pytest.raises(UserError) as refused:
        check_source(read_options(Parameters, [f"{option}={name}"]).data)
    assert len(str(refused.value)) < 1_500


@pytest.mark.failure_mode("unsafe-name")
@given(name=names)
@example("auto ")
def test_unknown_source_is_rejected(name: str) -> None:
    if name in DATASETS:
        return
    with pytest.raises(UserError, match="Allowed: "):
        check_source(name)
