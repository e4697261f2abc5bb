"""The settings, described from their one declaration: effective values, and a commented example."""

import textwrap
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from agent.config import Loaded
from agent.redact import MASK
from agent.settings import Settings, SiteSettings

_HEAD: Final = """\
# Settings of wp-structure-agent.
#
# Every key stands here, switched off: with its default, or with an example where there is none.
# The environment rules over this file: `key` of [section] is WPSA_SECTION_KEY there.
# Secrets are best kept in files of their own: `api_key_file` names one, seen from this file's
# folder; `api_key` would be the secret itself.
# What comes of it all: wpsa config show. Whether it works: wpsa check.
"""

_EXAMPLES: Final = {
    "backend.url": '"https://backend.example"',
    "backend.email": '"agent@backend.example"',
    "backend.site_id": '"42"',
    "backend.integration_id": '"7"',
    "structure.post_types": "{ product = { fetch_limit = 500 }, attachment = { enabled = false } }",
    "structure.taxonomies": "{ post_tag = { enabled = false } }",
    "schedule.at": '"03:30"',
    "state.dir": '"/var/lib/wpsa"',
    "sites.url": '"https://example.com"',
    "sites.name": '"shop"',
    "sites.username": '"structure-reader"',
    "sites.http_username": '"staging"',
    "sites.site_id": '"42"',
    "sites.integration_id": '"7"',
    "sites.rest_root": '"https://example.com/wp-json/"',
    "sites.internal_url": '"http://wordpress"',
    "notify.count_change_percent": "20",
    "sites.structure": "{ fetch_limit = 500 }",
}
"""For options without a default that could be written down, or with one that differs from machine to machine."""


def effective(loaded: Loaded) -> list[tuple[str, str, str]]:
    """(option, value, source) of every setting, secrets masked."""
    return [
        (option, _shown(value), _source_of(option, loaded))
        for option, value in _values(loaded.settings)
    ]


def _source_of(option: str, loaded: Loaded) -> str:
    """A list of sites has one source for all its keys; a table of exceptions has that of its entries."""
    option = "sites" if option.startswith("sites.") else option
    inside = (source for traced, source in loaded.sources.items() if traced.startswith(f"{option}."))
    return loaded.sources.get(option) or next(inside, "default")


def _values(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{prefix}{key}.")
        elif isinstance(value, tuple):
            for number, one in enumerate(value, start=1):
                yield from _values(one, f"{prefix}{key}.{number}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    match value:
        case SecretStr():
            return MASK
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(sorted(value)) or "–"
        case _:
            return str(value)


def example() -> str:
    """A TOML file with every key, its default and its meaning; loads as it is."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        if name not in ("site", "sites"):
            section = type(field.get_default(call_default_factory=True))
            parts.append(_about(section) + f"[{name}]\n" + "".join(_lines(name, section)))
    parts.append("# One such block for each site.\n#[[sites]]\n" + "".join(_lines("sites", SiteSettings)))
    return "\n".join(parts)


def _about(section: type[BaseModel]) -> str:
    """The section's own sentence as a comment; what it inherits says nothing about it."""
    text = vars(section).get("__doc__")
    return textwrap.indent(textwrap.fill(text, 96), "# ") + "\n" if text else ""


def _lines(name: str, section: type[BaseModel]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        if SecretStr in _kinds_of(field.annotation):
            yield f'#{key}_file = "{key}"{_remark(field.description)}\n'
        else:
            value = _EXAMPLES.get(f"{name}.{key}") or _toml(field.get_default(call_default_factory=True))
            yield f"#{key} = {value}{_remark(field.description, _allowed(field))}\n"


def _remark(*parts: str | None) -> str:
    told = "; ".join(part for part in parts if part)
    return f"  # {told}" if told else ""


def _allowed(field: FieldInfo) -> str | None:
    """`1 to 16`, `info, debug or error`: what a value may be, where that is a matter of a few words."""
    if get_origin(field.annotation) is Literal:
        *others, last = get_args(field.annotation)
        return f"{', '.join(others)} or {last}"
    least, most = (next((getattr(m, b) for m in field.metadata if hasattr(m, b)), None) for b in ("ge", "le"))
    return f"{least:,} to {most:,}" if least is not None and most is not None else None


def _kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The types in `X | None` and `Annotated[X, …] | None`."""
    parts = (annotation, *get_args(annotation))
    return tuple(inner for part in parts for inner in (part, *get_args(part)))


def _toml(default: Any) -> str:
    match default:
        case bool():
            return str(default).lower()
        case int() | float():
            return str(default)
        case _:
            return f'"{default}"'
