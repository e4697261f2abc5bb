"""Names every document on standard input, one a line, that the hub would not take. A process of its own: Django."""

import sys
import tempfile
from pathlib import Path

from agent.hub.configure import configure
from agent.hub.options import HubOptions


def refused(lines: list[bytes]) -> list[str]:
    from agent.hub.integrations.serializers import StructureSerializer
    from agent.strictjson import parse_json

    found = []
    for line in lines:
        serializer = StructureSerializer(data=parse_json(line))
        if not serializer.is_valid():
            found.append(f"{serializer.errors}: {line[:500]!r}")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        configure(HubOptions.from_environment({}, directory=Path(folder), listen="127.0.0.1:8765"))
        print("\n".join(refused(sys.stdin.buffer.read().splitlines())))
