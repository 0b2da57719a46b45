"""What does the library make of a reply? Told in JSON, so that two processes can be compared.

python tests/models/outcomes.py < LINES: each line is the name of a reply type and a text, as JSON; a line of outcome
for each. The process is a short-lived one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def outcome(reply_type: str, text: str) -> Any:
    """Read a reply, and tell all that the client looks at.

    Args:
        reply_type: the name of its type.
        text: what the broker is supposed to have answered.

    Returns:
        A JSON value.
    """
    from linuxbroker import models
    from linuxbroker.codec import MalformedReplyError, read_reply

    kind = getattr(models, reply_type)
    try:
        reply = read_reply(kind, text)
    except MalformedReplyError as error:
        return {"refused": str(error)}
    failure = reply.failure
    return {
        "sent back": json.loads(reply.to_json()),
        "is escaped": "\\u" in reply.to_json(),
        "shown": repr(reply),
        "failure": failure and repr(failure),
        "out of sight": json.loads(json.dumps(list(reply.out_of_sight()), default=lambda value: list(value))),
    }


def main() -> None:
    """Answer each line."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from linuxbroker import short_lived

    short_lived.declare()
    for line in sys.stdin:
        print(json.dumps(outcome(*json.loads(line))), flush=True)
    assert not any(name.startswith("pydantic") for name in sys.modules)


if __name__ == "__main__":
    main()
