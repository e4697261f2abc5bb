"""The journeys' backend in a bad mood: whatever a network, a proxy or a busy server does, from a seed (D25).

`python tests/journeys/hostile_backend.py SEED` serves one by hand; `pytest --hostile-backend SEED` runs every suite
with a backend in it on one (see `hostility`). Each mood is drawn for its request alone, by what is asked for the how-many-th time:
the same seed is as hostile to a site however many others ask meanwhile.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from backend import LIST_SHAPES, LISTING, WEB_PAGE, Handler, Push, StandIn

LOGIN, REFRESH = "/api/v1/auth/login/", "/api/v1/auth/refresh/"
TOKEN_SECONDS = 1.0

BEFORE = ("drop", "429", "5xx", "401")
"""Moods in which nothing is done. 401 is said to a token that is valid, never to an API key: nothing renews that."""
AFTER = ("drop after commit", "5xx after commit", "web page after commit")
"""Moods in which a push is kept, and its answer does not say so."""


@dataclass
class HostileStandIn(StandIn):
    """`api_key` is one of its credentials; e-mail and password earn tokens that live a second."""

    seed: int = 0
    hostility: float = 0.35
    """The share of requests that meet a mood."""
    bearable: bool = False
    """Never twice in a row, and nothing that a person would be told of: one run of `wpsa` gets through."""
    password: str = "the-password"
    excused: set[str] = field(default_factory=set)
    """Keys of pushes that were kept without saying so."""
    _asked: Counter[str] = field(default_factory=Counter)
    _upset: set[str] = field(default_factory=set)
    _tokens: dict[str, float] = field(default_factory=dict)
    _refreshes: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    moods: Counter[str] = field(default_factory=Counter)

    def handler(self) -> type[Handler]:
        return HostileHandler

    def chance(self, what: str) -> random.Random:
        """For this request, and the same one in every run of this seed."""
        with self._lock:
            self._asked[what] += 1
            return random.Random(f"{self.seed} {what} {self._asked[what]}")

    def mood(self, what: str, *, keeps: bool, tokened: bool) -> str:
        chance = self.chance(what)
        with self._lock:
            calm = chance.random() >= self.hostility or (self.bearable and what in self._upset)
            self._upset ^= {what} if self.bearable and (not calm or what in self._upset) else set()
            moods = [mood for mood in BEFORE if mood != "401" or (tokened and not self.bearable)]
            mood = "" if calm else chance.choice([*moods, *(AFTER if keeps else ())])
            if self.bearable and mood == "web page after commit":
                mood = "drop"
            self.moods[mood] += 1
        return mood

    def keep(self, push: Push) -> None:
        with self._lock:
            super().keep(push)
            if self.bearable and push.key in self.excused:  # a repeat that this backend's own mood has made
                self.pushes.pop()

    def listing(self, query: dict[str, list[str]]) -> Any:
        """Another shape and another page size each time, and rows that were not asked for."""
        chance = self.chance(f"listing {query.get('site')}")
        shape = chance.choice(LIST_SHAPES)
        site = query.get("site", [""])[0]
        wanted = [row for row in self.integrations if str(row["site"]) == site]
        others = [row for row in self.integrations if str(row["site"]) != site]
        rows = wanted + chance.sample(others, min(3, len(others)))
        chance.shuffle(rows)
        if shape in ("list", "envelope"):
            return rows if shape == "list" else {"success": True, "data": rows}
        # The order has to last from page to page: this is hostile, not mad.
        page = self._page_of(sorted(wanted, key=lambda row: str(row["id"])), query, chance)
        return page if shape == "page" else {"success": True, "data": page}

    def _page_of(self, rows: list[dict[str, Any]], query: dict[str, list[str]], chance: random.Random) -> dict[str, Any]:
        first, size = int(query.get("offset", ["0"])[0]), chance.randint(1, 3)
        following = f"http://proxy.invalid{LISTING}?site={query['site'][0]}&platform=wordpress&offset={first + size}"
        return {
            "count": len(rows), "previous": None, "results": rows[first : first + size],
            "next": following if first + size < len(rows) else None,
        }  # fmt: skip

    def knows(self, bearer: str) -> bool:
        with self._lock:
            return bearer == self.api_key or self._tokens.get(bearer, 0.0) > time.monotonic()

    def tokens(self) -> dict[str, str]:
        with self._lock:
            number = len(self._tokens) + 1
            access, refresh = f"access-{number}", f"refresh-{number}"
            self._tokens[access] = time.monotonic() + TOKEN_SECONDS
            self._refreshes.add(refresh)
        return {"access": access, "refresh": refresh}

    def spend(self, refresh: str) -> bool:
        """Each is good for one time."""
        with self._lock:
            known = refresh in self._refreshes
            self._refreshes.discard(refresh)
        return known


class HostileHandler(Handler):
    @property
    def hostile(self) -> HostileStandIn:
        assert isinstance(self.backend, HostileStandIn)
        return self.backend

    def _is_known(self) -> bool:
        bearer = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        return self.hostile.knows(bearer) or super()._is_known()

    def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
        if not self._met(self.hostile.mood(f"GET {self.path}", keeps=False, tokened=self._tokened())):
            self.get()

    def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
        signing_in = self.path in (LOGIN, REFRESH)
        mood = self.hostile.mood(f"POST {self.path}", keeps=not signing_in, tokened=self._tokened())
        if mood in AFTER:
            self._kept(mood)
        elif mood:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._met(mood)
        elif signing_in:
            self.sign_in()
        else:
            self.post()

    def get(self) -> None:
        """In no mood at all."""
        super().do_GET()

    def post(self) -> None:
        super().do_POST()

    def _tokened(self) -> bool:
        return "access-" in (self.headers["Authorization"] or "")

    def sign_in(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = self.hostile.spend(given["refresh"]) if self.path == REFRESH else given["password"] == self.hostile.password
        if allowed:
            tokens = self.hostile.tokens()
            enveloped = self.hostile.chance("tokens").random() < 0.5
            self._answer(200, {"success": True, "data": tokens} if enveloped else tokens)
        else:
            self._answer(401, {"code": "token_not_valid"})

    def _kept(self, mood: str) -> None:
        """The push is taken, by somebody whose answer is lost on the way."""
        answer, self._send = self._send, lambda *_: None  # type: ignore[method-assign]
        self.post()
        self._send = answer  # type: ignore[method-assign]
        self.hostile.excused.add(self.headers["Idempotency-Key"])
        match mood:
            case "5xx after commit":
                self._answer(504, {"detail": "gateway timeout"})
            case "web page after commit":
                self._send(200, WEB_PAGE, {"Content-Type": "text/html"})
            case _:
                self._drop()

    def _met(self, mood: str) -> bool:
        chance = self.hostile.chance(mood)
        match mood:
            case "drop":
                self._drop()
            case "429":
                self._answer(429, {"detail": "slow down"}, {"Retry-After": chance.choice(self._waits())})
            case "5xx":
                self._answer(chance.choice((500, 502, 503, 504)), {"detail": "away"})
            case "401":
                self._answer(401, {"code": "token_not_valid"})
            case _:
                return False
        return True

    def _waits(self) -> tuple[str, ...]:
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        long = () if self.hostile.bearable else ("120", "1e99")
        return ("1", soon, "soon", "-5", *long)


def serve(seed: int) -> None:
    with HostileStandIn(api_key="by-hand", seed=seed) as backend:
        credentials = f"WPSA_BACKEND_EMAIL=bot@backend.example WPSA_BACKEND_PASSWORD={backend.password}"
        sys.stdout.write(f"WPSA_BACKEND_URL={backend.url} WPSA_BACKEND_SITE_ID=42 {credentials}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
