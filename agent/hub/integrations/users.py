"""Who signs in: by e-mail address, in any letter case."""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None, **fields: Any) -> "User":
        """A stored user; without a password nobody can sign in as it."""
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None, **fields: Any) -> "User":
        return self.create_user(email, password, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[misc]  # both bring a Meta, as Django documents
    """An owner of sites and API keys."""

    email: "models.EmailField[str, str]" = models.EmailField(unique=True)
    is_active: "models.BooleanField[bool, bool]" = models.BooleanField(default=True)
    joined_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    @property
    def is_staff(self) -> bool:
        """Whether Django's admin lets them in."""
        return self.is_superuser

    def save(self, *args: Any, **kwargs: Any) -> None:
        # One spelling in the table makes the unique constraint mean what people expect.
        self.email = self.email.lower()
        super().save(*args, **kwargs)
