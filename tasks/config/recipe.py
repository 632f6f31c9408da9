"""The recipe: hyperparameters that all networks of a comparison share.

Each annotated type contains the bounds and the description of a parameter. The flow's signature uses the same types, so
the command line, Prefect's form and this model agree.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# With fewer updates, a network of the default size learns nothing from few reviews.
MIN_EPOCHS, MIN_UPDATES = 2, 100
MAX_EMBEDDING_SIZE = 4_096
DEFAULT_ARCHITECTURES = ("simple_rnn", "lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm")

VocabularySize = Annotated[
    int,
    Field(
        ge=10,
        le=65_535,
        description="Number of token ids: the most frequent tokens of the training reviews, padding, unknown token.",
    ),
]
MaxTokens = Annotated[int, Field(ge=1, le=10_000, description="Tokens kept of each review, the last ones.")]
Tokenizer = Annotated[
    Literal["words", "characters"],
    Field(description="Unit of a token. Scripts without spaces between words are split into characters by both."),
]
ClassWeights = Annotated[
    bool,
    Field(description="Weight the classes equally in training. Shifts the probabilities towards the rare class."),
]
EmbeddingSize = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_EMBEDDING_SIZE,
        description="Length of the embedding vector of a token. With word vectors it is theirs.",
    ),
]
Units = Annotated[
    int,
    Field(
        ge=1,
        le=4_096,
        description="Units of each recurrent layer and direction, and filters of each width of the CNN.",
    ),
]
Dropout = Annotated[float, Field(ge=0, lt=1, description="Dropout rate of embedding channels (spatial dropout).")]
LayerDropout = Annotated[float, Field(ge=0, lt=1, description="Dropout rate between recurrent layers.")]
LearningRate = Annotated[float, Field(gt=0, description="Highest learning rate of Adam.")]
BatchSize = Annotated[int, Field(ge=1, le=65_536, description="Reviews per training step.")]
Warmup = Annotated[
    float,
    Field(ge=0, lt=1, description="Share of all updates in which the learning rate rises; then it decreases to zero."),
]
Epochs = Annotated[
    Annotated[int, Field(ge=1, le=1_000)] | None,
    Field(description="Maximum number of epochs. By default 2, and more for few reviews: at least 100 updates."),
]
Patience = Annotated[int, Field(ge=1, description="Epochs without a lower validation loss before training stops.")]


class Recipe(BaseModel):
    """Hyperparameters of the networks, which are part of the cache key of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: VocabularySize = 10_000
    max_tokens: MaxTokens = 200
    tokenizer: Tokenizer = "words"
    class_weights: ClassWeights = False
    embedding_size: EmbeddingSize = 64
    units: Units = 64
    dropout: Dropout = 0.4
    layer_dropout: LayerDropout = 0.2
    learning_rate: LearningRate = 0.01
    batch_size: BatchSize = 64
    warmup: Warmup = 0.5
    epochs: Epochs = None
    patience: Patience = 3

    def planned_epochs(self, reviews: int) -> int:
        """Return the number of epochs for a number of training reviews, from 1."""
        updates = math.ceil(max(reviews, 1) / self.batch_size)
        return self.epochs or max(MIN_EPOCHS, math.ceil(MIN_UPDATES / updates))
