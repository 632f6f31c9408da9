"""Name parameters in messages as the user types them.

Library code names a parameter by its own name, at the beginning of a line ("seeds: received 0.") or in backticks
("Add `engine`=dask."), because a call in Python or a deployment has no options. The command replaces these names.
"""

import re
from collections.abc import Mapping

# The last form is an option in a message of the command itself, which may be typed with underscores.
PARAMETER = re.compile(
    r"^(?P<line>\w+)(?=: )|`(?P<quoted>\w+)`|(?<![\w-])--(?P<option>[a-z]+(?:-[a-z]+)*)", re.MULTILINE
)


def name_options(message: str, names: Mapping[str, str]) -> str:
    """Replace the parameters in a message by options.

    Args:
        message: The message. Other words in these places do not change.
        names: Option, as it was typed, or positional argument by the name of each parameter of the subcommand.
    """

    def replace(found: re.Match[str]) -> str:
        name = found["line"] or found["quoted"] or found["option"].replace("-", "_")
        return names.get(name, found[0])

    return PARAMETER.sub(replace, message)
