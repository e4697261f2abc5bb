"""Addresses, rows and clients of the backend in these tests."""

import ssl
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

from fakes import ManualClock

from agent import faults
from agent.backend.breaker import Breaker
from agent.backend.client import BackendClient
from agent.backend.contract import Paths
from agent.backend.integrations import Target
from agent.backend.session import ApiKey, Session
from agent.transport import Transport, open_transport

BASE = "https://backend.example"
LIST = f"{BASE}/api/v1/integration/integrations/"
KEY = "key-of-the-shop"
OURS = {"id": 42, "site": 7, "platform": "wordpress"}


def push_url(integration_id: str | int = 42) -> str:
    return f"{LIST}{integration_id}/update-structure/"


def shown_url(integration_id: str | int = 42) -> str:
    return f"{LIST}{integration_id}/content-types/"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def backend_transport(clock: ManualClock, **options: Any) -> AbstractAsyncContextManager[Transport]:
    return open_transport(faults=faults.BACKEND, ssl_context=_tls(), clock=clock.clock, **options)


def a_client(
    http: Transport,
    *,
    session: Session | None = None,
    target: Target | None = None,
    base_url: str = BASE,
    verify: bool = False,
    clock: ManualClock | None = None,
    breaker: Breaker | None = None,
) -> BackendClient:
    """clock   its own by default, so that nothing waits"""
    targets = dict.fromkeys(("shop", "blog"), target or Target("7", None))
    session = session or ApiKey(KEY)
    return BackendClient(
        http,
        base_url=base_url,
        session=session,
        paths=Paths(),
        targets=targets,
        verify=verify,
        clock=(clock or ManualClock()).clock,
        breaker=breaker,
    )
