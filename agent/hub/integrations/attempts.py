"""A bucket in the database against guessing passwords, shared by every process of the hub."""

import hashlib
import math
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F
from django.utils import timezone

from agent.hub.integrations.models import AttemptBucket

WINDOW: Final = timedelta(minutes=5)
ATTEMPTS_PER_ACCOUNT: Final = 10
ATTEMPTS_PER_ADDRESS: Final = 50


def take_attempt(address: str, account: str) -> int | None:
    """Count one attempt to sign in; None when it may go on, else the seconds to wait.

    Two buckets: the address on this account, and the address on any. There is none for the account
    alone, because a stranger could lock its owner out with it.
    """
    now = timezone.now()
    AttemptBucket.objects.filter(ends_at__lte=now).delete()
    waits = [
        _take(_key(address, account.strip().lower()), ATTEMPTS_PER_ACCOUNT, now),
        _take(_key(address), ATTEMPTS_PER_ADDRESS, now),
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def forgive(address: str, account: str) -> None:
    """Empty the account's bucket after a success: its owner may mistype again tomorrow."""
    AttemptBucket.objects.filter(key=_key(address, account.strip().lower())).delete()


def _take(key: str, limit: int, now: datetime) -> int | None:
    bucket, _ = AttemptBucket.objects.get_or_create(key=key, defaults={"attempts": 0, "ends_at": now + WINDOW})
    # One statement looks and counts, so of many guesses at once not one too many gets through.
    if AttemptBucket.objects.filter(key=key, attempts__lt=limit).update(attempts=F("attempts") + 1):
        return None
    return max(1, math.ceil((bucket.ends_at - now).total_seconds()))


def _key(*parts: str) -> str:
    """Hashed, because what is typed into the wrong field may be a password."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
