"""Run the comparison with the parameters of a JSON file, and print what the command prints: PARAMETERS.

A hostile file name cannot be given on the command line, which refuses it.
"""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    from flows.cli.console import print_output
    from flows.imdb_compare import imdb_compare

    print_output(imdb_compare(**json.loads(Path(sys.argv[1]).read_text())))
