"""The parameters of a comparison: their types, units, bounds and defaults, in one place.

Each annotated type carries its own bounds and description. The flow's signature uses the
same types, so that the command line, Prefect's form and this model say the same.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FIVE_ARCHITECTURES = ("simple_rnn", "lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm")

# What every architecture shares: one recipe, so that only the architecture differs.
VocabularySize = Annotated[
    int, Field(ge=10, le=65_535, description="Words kept, most frequent in training first; 0 is padding, 1 unknown.")
]
MaxTokens = Annotated[int, Field(ge=1, le=10_000, description="Words read of each review: its last ones.")]
Tokenizer = Annotated[
    Literal["words", "characters"],
    Field(
        description="What a review is split into; a script without blanks between words goes into characters by both."
    ),
]
ClassWeights = Annotated[
    bool,
    Field(description="Let both classes count alike in training, however rare one is; probabilities shift towards it."),
]
EmbeddingSize = Annotated[int, Field(ge=1, le=4_096, description="Numbers that stand for a word.")]
Units = Annotated[
    int, Field(ge=1, le=4_096, description="Width of each recurrent layer (each direction of a bidirectional one).")
]
Dropout = Annotated[
    float, Field(ge=0, lt=1, description="Share of embedding channels dropped in training (spatial dropout).")
]
LayerDropout = Annotated[float, Field(ge=0, lt=1, description="Share of outputs dropped between recurrent layers.")]
LearningRate = Annotated[float, Field(gt=0, description="Step size of Adam.")]
BatchSize = Annotated[int, Field(ge=1, le=65_536, description="Reviews in one training step.")]
EmaMomentum = Annotated[
    float,
    Field(ge=0, lt=1, description="Share of the running average of the weights that each step keeps; 0 turns it off."),
]
Epochs = Annotated[int, Field(ge=1, le=1_000, description="Most passes over the training reviews.")]
Patience = Annotated[int, Field(ge=1, description="Epochs without a lower validation loss after which training stops.")]


class Recipe(BaseModel):
    """What one trial (architecture, seed) is trained with; part of its cache key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: VocabularySize = 10_000
    max_tokens: MaxTokens = 200
    tokenizer: Tokenizer = "words"
    class_weights: ClassWeights = False
    embedding_size: EmbeddingSize = 64
    units: Units = 64
    dropout: Dropout = 0.4
    layer_dropout: LayerDropout = 0.2
    learning_rate: LearningRate = 0.005
    batch_size: BatchSize = 64
    ema_momentum: EmaMomentum = 0.99
    epochs: Epochs = 3
    patience: Patience = 1
