"""Sites that nobody names any more: what is known of them stays for a while, in case they come back."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from agent.state.rows import Store

KEPT_FOR = timedelta(days=30)
LOOKED_EVERY = timedelta(days=1)

_TABLES = ("outbox", "recheck", "structure", "last_count", "run", "slot")
"""Those with rows of a site."""


class Removed:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at: datetime | None = None

    def forget(self, named: Callable[[], Iterable[str]], *, at: datetime) -> list[str]:
        """The sites of which nothing is known from now on; looked for once a day. Raises StateError.

        named   gives the sites that stay however long nothing was begun for them
        """
        if self._looked_at is not None and abs(at - self._looked_at) < LOOKED_EVERY:
            return []
        since = (at - KEPT_FOR).date().isoformat()
        idle = [row["site"] for row in self._store.rows("SELECT site FROM slot WHERE day < ?", since)]
        gone = sorted(set(idle) - set(named())) if idle else []
        for site in gone:
            with self._store.transaction() as database:
                for table in _TABLES:
                    database.execute(f"DELETE FROM {table} WHERE site = ?", (site,))  # noqa: S608 - their names are written above
        self._looked_at = at
        return gone
