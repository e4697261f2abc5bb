"""Argon2 as the hub uses it, but for its price: a fifth of a second of processor time for each password."""

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test.utils import override_settings


class Quick(Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 1, 8, 1


def quick_hashing() -> override_settings:
    """For as long as a block lasts, or from `enable` on."""
    return override_settings(PASSWORD_HASHERS=[f"{__name__}.{Quick.__name__}"])
