"""What an answer of the backend says, whether it stands bare or as `data` inside an envelope."""

from typing import Any

from agent.strictjson import BadJson
from agent.transport import Answer


def inside(answer: Answer) -> Any:
    """What was said, without an envelope; None when it is no JSON."""
    try:
        said = answer.json()
    except BadJson:
        return None
    return said["data"] if isinstance(said, dict) and isinstance(said.get("data"), dict) else said
