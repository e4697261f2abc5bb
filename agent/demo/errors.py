"""What can go wrong while a throwaway WordPress is brought, installed or asked.

DemoError(message, *, hint)
├── SourceMissing   69  software that is needed is neither here nor to be had
├── PhpFailed       70  a PHP script inside the site ended badly
└── ServerFailed    69  the site's web server did not start or did not answer
Unavailable is internal: one source has nothing for us, the next one is asked.
"""


class DemoError(Exception):
    """An expected failure of the throwaway WordPress: a sentence, and what to do about it."""

    exit_code = 69

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SourceMissing(DemoError):
    """Software that is needed is neither in the cache nor to be had from any source."""


class PhpFailed(DemoError):
    """A PHP script inside the site failed; the message carries what PHP said."""

    exit_code = 70


class ServerFailed(DemoError):
    """The site's web server did not start or did not answer in time."""


class Unavailable(Exception):
    """One source cannot deliver; the text says why, in words for the person at the terminal."""
