"""Import modules and print which libraries that loads: LIBRARIES MODULE ….

LIBRARIES are the names of top-level packages, separated by commas. Those that are loaded are printed, one per line.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    for module in sys.argv[2:]:
        import_module(module)
    print("\n".join(name for name in sys.argv[1].split(",") if name in sys.modules))  # noqa: T201
