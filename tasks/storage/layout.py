"""Paths in the results directory.

    <results>/
        cache/
            reviews/        reviews-<key>.parquet
            encoded/        encoded-<key>.parquet, vocabulary-<key>.parquet
            vectors/        vectors-<key>.parquet
            trials/         <trial>.parquet (history), <trial>.predictions.parquet, <trial>.safetensors (weights),
                            <trial>.evaluation-<key>.zip
            evaluations/    evaluation-<key>.zip
            figures/        <figure>-<key>.zip
        history/            data=<fingerprint>/configuration=<key>/<run>.parquet
        tuning/             search-<key>.parquet
        runs/               <run>/
        latest              a link to the last run; in a bucket an object with its path

All runs of a results directory share its cache. A key is a hash of everything that decides the content of a file. The
name of a trial contains its key. Records such as `Dataset` contain file names without a directory, so a results
directory can be moved.
"""

from pathlib import Path


def cache_dir(results: Path) -> Path:
    """Return the directory of cached files in a results directory."""
    return results / "cache"


def reviews_name(key: str) -> str:
    """Return the file name of loaded reviews."""
    return f"reviews-{key}.parquet"


def encoded_name(key: str) -> str:
    """Return the file name of encoded reviews."""
    return f"encoded-{key}.parquet"


def vocabulary_name(key: str) -> str:
    """Return the file name of a vocabulary."""
    return f"vocabulary-{key}.parquet"


def vectors_name(key: str) -> str:
    """Return the file name of the word vectors of a vocabulary."""
    return f"vectors-{key}.parquet"


def reviews_file(cache: Path, name: str) -> Path:
    """Return the path of loaded reviews."""
    return cache / "reviews" / name


def encoded_file(cache: Path, name: str) -> Path:
    """Return the path of encoded reviews."""
    return cache / "encoded" / name


def vocabulary_file(cache: Path, name: str) -> Path:
    """Return the path of a vocabulary."""
    return cache / "encoded" / name


def vectors_file(cache: Path, name: str) -> Path:
    """Return the path of the word vectors of a vocabulary."""
    return cache / "vectors" / name


def history_file(cache: Path, trial: str) -> Path:
    """Return the path of the history of a trial."""
    return cache / "trials" / f"{trial}.parquet"


def predictions_file(cache: Path, trial: str) -> Path:
    """Return the path of the predictions of a trial."""
    return cache / "trials" / f"{trial}.predictions.parquet"


def weights_file(cache: Path, trial: str) -> Path:
    """Return the path of the weights of a trial."""
    return cache / "trials" / f"{trial}.safetensors"


def trial_evaluation_file(cache: Path, trial: str, key: str) -> Path:
    """Return the path of the evaluation of a single trial."""
    return cache / "trials" / f"{trial}.evaluation-{key}.zip"


def evaluation_file(cache: Path, key: str) -> Path:
    """Return the path of the tables of an evaluation."""
    return cache / "evaluations" / f"evaluation-{key}.zip"


def figure_file(cache: Path, figure: str, key: str) -> Path:
    """Return the path of a rendered figure."""
    return cache / "figures" / f"{figure}-{key}.zip"


def history_dir(results: Path) -> Path:
    """Return the directory of the results of all runs."""
    return results / "history"


def history_of_data(results: Path, data: str) -> Path:
    """Return the directory of the history of one data set."""
    return history_dir(results) / f"data={data}"


def history_partition(results: Path, data: str, configuration: str) -> Path:
    """Return the directory of the history of one data set and configuration."""
    return history_of_data(results, data) / f"configuration={configuration}"


def history_files(results: Path) -> list[Path]:
    """Return the files of the history of all runs, sorted by path."""
    return sorted(history_dir(results).glob("data=*/configuration=*/*.parquet"))


def search_file(results: Path, key: str) -> Path:
    """Return the path of the search of one architecture, which nightly runs reuse."""
    return results / "tuning" / f"search-{key}.parquet"


def runs_dir(results: Path) -> Path:
    """Return the directory of the run directories."""
    return results / "runs"


def run_dir(results: Path, run: str) -> Path:
    """Return the directory of a run."""
    return runs_dir(results) / run


def latest_link(results: Path) -> Path:
    """Return the path that leads to the last run: a symbolic link, or in a bucket an object with its path."""
    return results / "latest"


def run_table(run: Path, table: str) -> Path:
    """Return the path of a table in a run directory."""
    return run / "tables" / f"{table}.parquet"
