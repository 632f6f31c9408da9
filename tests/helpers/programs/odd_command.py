"""`imdb-compare run`, in which GRU runs out of memory, LSTM is killed and deep LSTM diverges."""

import sys

from flows.cli.main import main
from tasks.models.registry import ARCHITECTURES
from tests.helpers.programs.odd_architectures import diverging, hungry, killed

ARCHITECTURES.update(gru=hungry, lstm=killed, deep_lstm=diverging)

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
