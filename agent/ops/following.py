"""Asking the daemon that owns the state, and following what becomes of it, as if one had done it oneself."""

import json
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import AgentError, UsageError
from agent.faults import Faults
from agent.ops.access import Access
from agent.strictjson import BadJson
from agent.transport import Answer, Limits, Transport, open_transport

WAIT_SECONDS = 15
LIMITS = Limits(connect_seconds=2, read_seconds=30, deadline_seconds=30, redirects=0, connections=1)

Heard = Callable[[dict[str, Any]], None]
"""Hears of each outcome as it comes, as `asjson.outcome_json` gives it."""


class DaemonLost(AgentError):
    """It does not answer, or no longer; what it has in hand goes on, or is taken up at its next start."""

    exit_code = 69


_FAULTS = Faults("daemon", DaemonLost, DaemonLost, DaemonLost)


async def follow(access: Access, sites: Sequence[str], *, heard: Heard) -> list[dict[str, Any]] | None:
    """The outcomes of these sites, asked of the daemon, in their order; None when it cannot be asked.

    Raises UsageError for a site that the daemon does not know, and DaemonLost when it ends meanwhile.
    """
    # The way is plain http on this machine: no authority that could vouch for a stranger is loaded.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with open_transport(faults=_FAULTS, ssl_context=nobody, limits=LIMITS) as http:
        try:
            order = _understood(await _ask(http, access, "POST", "/sync", {"sites": list(sites)}), 202)
        except DaemonLost:
            return None
        outcomes: dict[str, dict[str, Any]] = {}
        while True:
            target = f"/sync/{order['id']}?from={len(outcomes)}&wait={WAIT_SECONDS}"
            page = _understood(await _ask(http, access, "GET", target), 200)
            for outcome in page["finished"]:
                outcomes[outcome["site"]] = outcome
                heard(outcome)
            if page["done"]:
                break
    missing = [site for site in sites if site not in outcomes]
    if missing:
        raise DaemonLost(
            f"the daemon did not get to {', '.join(missing)}",
            reason="daemon_lost",
            hint="It was stopped, its settings changed, or its state cannot be written: see its log and wpsa status.",
        )
    return [outcomes[site] for site in sites]


async def _ask(http: Transport, access: Access, method: str, target: str, body: object = None) -> Answer:
    headers = {"Authorization": f"Bearer {access.token}"}
    content = json.dumps(body).encode() if body is not None else None
    return await http.fetch(method, access.url + target, headers=headers, content=content)


def _understood(answer: Answer, expected: int) -> Any:
    """What the daemon said; its refusal as our error."""
    try:
        said = answer.json()
    except BadJson:
        said = None
    if not isinstance(said, dict):
        raise _lost(answer.status)
    if answer.status == 404 and said.get("reason") == "usage":
        raise UsageError(str(said["message"]), reason="usage", hint=str(said["hint"]))
    if answer.status != expected:
        raise _lost(answer.status)
    return said


def _lost(status: int) -> DaemonLost:
    return DaemonLost(
        f"the daemon answered with {status}",
        reason="daemon_lost",
        hint="See its log; its token is ops-token in the state's folder, unless WPSA_OPS_TOKEN names another.",
    )
