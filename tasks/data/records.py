"""Records that describe a data set, from loading to the report."""

import dataclasses
from typing import Annotated, Literal

import pandas as pd
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated_dataclass

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ValidationSplit = Literal["given", "by group", "at random, stratified by class"]
STRICT = ConfigDict(strict=True)


@validated_dataclass(frozen=True, config=STRICT)
class Dataset:
    """A loaded and split data set.

    Attributes:
        source: Description of the source, such as "240 reviews of own.csv".
        fingerprint: SHA-256 of the reviews, their labels and their splits, 64 hexadecimal digits.
        rows: Number of reviews by split (train, validation, test).
        class_sizes: Number of reviews of each class by split.
        classes: Names of the classes, 2 to 100.
        validation: How the validation split was made.
        duplicates: Number of reviews with the same words as an earlier one.
        across_splits: Number of test reviews whose words are also in the training or validation split.
        caveats: Sentences on known biases of the data set.
        without_tokens: Number of reviews without any token by split.
        file: Name of the file of reviews in the cache; empty before they are stored.
    """

    source: str
    fingerprint: Sha256
    rows: dict[str, int]
    class_sizes: dict[str, tuple[int, ...]]
    classes: tuple[str, ...]
    validation: ValidationSplit
    duplicates: int
    across_splits: int
    caveats: tuple[str, ...]
    without_tokens: dict[str, int] = Field(default_factory=dict)
    file: str = ""


@validated_dataclass(frozen=True, config=STRICT)
class EncodedFiles:
    """The files of an encoded data set in the cache.

    Attributes:
        file: Name of the file of token ids.
        vocabulary: Name of the file of the vocabulary.
        fingerprint: SHA-256 of the table of token ids, 64 hexadecimal digits.
    """

    file: str
    vocabulary: str
    fingerprint: Sha256


@validated_dataclass(frozen=True, config=STRICT)
class VectorTable:
    """The word vectors of a vocabulary in the cache.

    Attributes:
        file: Name of the file of vectors.
        fingerprint: SHA-256 of the table of vectors, 64 hexadecimal digits.
        size: Length of a vector.
        words: Number of words in the vocabulary that have a vector.
        vocabulary: Number of words in the vocabulary.
        token_share: Share of the tokens of the training reviews that have a vector, in [0, 1].
        note: Sentences on the file that the vectors were read from, one per line; empty if nothing is unusual.
    """

    file: str
    fingerprint: Sha256
    size: int
    words: int
    vocabulary: int
    token_share: float
    note: str


@validated_dataclass(frozen=True, config=STRICT)
class WordVectors(VectorTable):
    """The word vectors of a comparison.

    Attributes:
        source: Name of the file that they were read from.
        sha256: SHA-256 of its content, 64 hexadecimal digits.
        frozen: Whether training leaves them as they are.
    """

    source: str
    sha256: Sha256
    frozen: bool

    @property
    def key(self) -> str:
        """Part of the cache key of a trial."""
        return f"{self.fingerprint}{' frozen' if self.frozen else ''}"


@validated_dataclass(frozen=True, config=STRICT)
class EncodedDataset(EncodedFiles):
    """An encoded data set.

    Attributes:
        train_fraction: Share of the training reviews that was encoded, above 0 to 1.
        dataset: The reviews that were encoded.
        vectors: Word vectors of the vocabulary; None without.
    """

    train_fraction: float
    dataset: Dataset
    vectors: WordVectors | None = None


@dataclasses.dataclass(frozen=True)
class UnsplitReviews:
    """Labeled reviews as they were read.

    Attributes:
        frame: Columns text and label (class, from 0); split and group where they are known.
        source: Description of the source.
        classes: Names of the classes, 2 to 100.
        caveats: Sentences on known biases of the data set.
        test_rows: Number of reviews to hold out for testing where no split is given; None for the default share.
    """

    frame: pd.DataFrame
    source: str = ""
    classes: tuple[str, ...] = ("negative", "positive")
    caveats: tuple[str, ...] = ()
    test_rows: int | None = None


@dataclasses.dataclass(frozen=True)
class LoadedReviews:
    """Split reviews and their description.

    Attributes:
        frame: Columns review_id, split, label (int8), text, group where it is known, and cluster (int64), the same
            number for all reviews with the same words or of the same group; sorted by split and review_id.
        dataset: Their description.
    """

    frame: pd.DataFrame
    dataset: Dataset
