"""Execute a command line, then print which libraries are loaded, as a JSON list on stderr.

Arguments: LIBRARIES, the names of top-level packages with commas between, then those of `imdb-compare`. The exit code
is that of the command.
"""

import json
import sys

if __name__ == "__main__":
    from flows.cli.main import main

    try:
        code = main(sys.argv[2:])
    except SystemExit as ended:
        code = int(ended.code or 0)
    loaded = {name.split(".")[0] for name in sys.modules}
    print(json.dumps(sorted(loaded & set(sys.argv[1].split(",")))), file=sys.stderr)  # noqa: T201
    sys.exit(code)
