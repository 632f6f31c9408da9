"""Train networks with several seeds in a worker process; print the SHA-256 of the weights of the last seed.

Arguments: FOLDER SEED [SEED …]. One line for each architecture.
"""

import os
import sys
from pathlib import Path

from tasks.execution.worker import attach_to_parent
from tasks.training.runtime import load_tensorflow

if __name__ == "__main__":
    attach_to_parent(os.getppid())
    load_tensorflow()

    from tasks.models.registry import ARCHITECTURES
    from tasks.storage.trials import store_trial
    from tasks.training.trial import train_network
    from tests.helpers.encoded_reviews import RECIPE, encoded_reviews

    folder, *seeds = sys.argv[1:]
    for name in ("lstm", "lstm_attention", "bidirectional_gru", "cnn"):
        for seed in seeds:
            trial = train_network(name, int(seed), RECIPE, encoded_reviews(), build=ARCHITECTURES[name])
        print(store_trial(Path(folder), name, trial).weights_sha256)  # noqa: T201
