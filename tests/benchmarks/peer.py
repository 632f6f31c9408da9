"""Train the five networks in PyTorch with bfloat16 autocast, one thread: `python -m tests.benchmarks.peer 200 400`.

PyTorch is not a dependency of the project. Any Python with PyTorch and pydantic can be used. The last line is JSON:
reviews per second by number of tokens and architecture, without validation and compilation.
"""

import json
import sys
import time

import torch
from torch import nn

from tasks.config.recipe import DEFAULT_ARCHITECTURES, Recipe

WARM_UP, SECONDS = 3, 4  # steps before the measurement, and its duration
# (number of layers, bidirectional) of each architecture.
SHAPES = dict.fromkeys(DEFAULT_ARCHITECTURES, (1, False)) | {
    "stacked_lstm": (2, False), "bidirectional_lstm": (1, True), "deep_lstm": (3, False),
}  # fmt: skip


class Classifier(nn.Module):
    """Embedding, recurrent layers, and one logit from the last state of each direction."""

    def __init__(self, architecture: str, recipe: Recipe) -> None:
        super().__init__()
        layers, both_ways = SHAPES[architecture]
        kind = nn.RNN if architecture == "simple_rnn" else nn.LSTM
        between = recipe.layer_dropout if layers > 1 else 0
        self.vectors = nn.Embedding(recipe.vocabulary_size, recipe.embedding_size)
        self.layers = kind(recipe.embedding_size, recipe.units, layers, batch_first=True, dropout=between,
                           bidirectional=both_ways)  # fmt: skip
        self.dropout = nn.Dropout(recipe.dropout)
        self.logit = nn.Linear(recipe.units * (1 + both_ways), 1)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        _, last = self.layers(self.dropout(self.vectors(words)))
        hidden = last[0] if isinstance(last, tuple) else last
        ends = torch.cat([hidden[-2], hidden[-1]], 1) if self.layers.bidirectional else hidden[-1]
        return self.logit(self.dropout(ends))[:, 0]


def pace(architecture: str, recipe: Recipe, seconds: float = SECONDS) -> float:
    """Train on random reviews of full length, and return reviews per second."""
    torch.manual_seed(0)
    model = Classifier(architecture, recipe)
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    words = torch.randint(1, recipe.vocabulary_size, (recipe.batch_size, recipe.max_tokens))
    labels = torch.randint(0, 2, (recipe.batch_size,)).float()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(words)
        nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
        optimizer.step()

    for _ in range(WARM_UP):
        step()
    start, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        step()
        count += 1
    return recipe.batch_size * count / passed


if __name__ == "__main__":
    torch.set_num_threads(1)
    recipes = {tokens: Recipe(max_tokens=int(tokens)) for tokens in sys.argv[1:]}
    print(json.dumps({t: {name: pace(name, r) for name in DEFAULT_ARCHITECTURES} for t, r in recipes.items()}))  # noqa: T201
