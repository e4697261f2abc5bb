"""“Sync now” in the agent's own hub: from the button to the structure, and what is chosen there in the next push."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from journey import PATIENCE_SECONDS, Wpsa, free_port, wait_until

from agent.demo.wordpress import WordPress

INTEGRATION = "/api/v1/integration/integrations/1/"


def test_what_is_asked_in_the_embedded_hub_is_done_at_once(new_user: Callable[..., Wpsa], wordpress: WordPress) -> None:
    hub = f"127.0.0.1:{free_port()}"
    wpsa = new_user(SITE_URL=wordpress.url, SITE_NAME="shop", HUB_LISTEN=hub)
    with wpsa.start("run") as daemon:
        daemon.wait_for("run.finished", result="delivered")
        key = (wpsa.state / "hub" / "agent-api-key").read_text().strip()
        asked_at = time.monotonic()
        asked = ask_hub(hub, key, "POST", f"{INTEGRATION}sync-request/")
        wait_until(lambda: ask_hub(hub, key, "GET", INTEGRATION)["sync_request"] is None, "the end of the request")
        seconds = time.monotonic() - asked_at
        wait_until(lambda: len(ask_hub(hub, key, "GET", f"{INTEGRATION}runs/")) == 2, "two reported runs")
        runs = ask_hub(hub, key, "GET", f"{INTEGRATION}runs/")
        stopped = daemon.end()

    assert asked["state"] == "asked"
    assert [run["result"] for run in runs] == ["delivered", "delivered"]
    assert seconds < PATIENCE_SECONDS < 60, "nobody waited for a poll"
    assert stopped.code == 0
    assert stopped.seconds < 2


def ask_hub(hub: str, key: str, method: str, path: str) -> Any:
    request = urllib.request.Request(f"http://{hub}{path}", method=method, headers={"Authorization": f"Bearer {key}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)
