"""The settings, described from their one declaration: effective values, and a commented example."""

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agent.config import Loaded
from agent.redact import MASK
from agent.settings import Settings, SiteSettings

_HEAD = """\
# Settings of wp-structure-agent. Every key stands here with its default; the environment
# (WPSA_SECTION_KEY) rules over this file. A secret may come from a file: write its key with _file.
"""


def effective(loaded: Loaded) -> list[tuple[str, str, str]]:
    """(option, value, source) of every setting, secrets masked."""
    return [
        (option, _shown(value), loaded.sources.get(_traced(option, loaded), "default"))
        for option, value in _values(loaded.settings)
    ]


def _traced(option: str, loaded: Loaded) -> str:
    """A list of sites has one source for all its keys."""
    return "sites" if option.startswith("sites.") else option


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
        if name in ("site", "sites"):
            continue
        section = field.default if isinstance(field.default, BaseModel) else field.get_default(call_default_factory=True)
        parts.append(f"[{name}]{_about(type(section).__doc__)}\n" + "".join(_lines(type(section))))
    parts.append('# One block for each site.\n# [[sites]]\n# url = "https://example.com"\n')
    parts.append("".join(line for line in _lines(SiteSettings) if "url = " not in line))
    return "\n".join(parts)


def _about(text: str | None) -> str:
    return f"\n{textwrap.indent(textwrap.fill(text.strip(), 96), '# ')}" if text and "Section" not in text else ""


def _lines(section: type[BaseModel]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        about = f"  # {field.description}" if field.description else ""
        yield f"# {key} = {_toml(field)}{about}\n"


def _toml(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    match default:
        case bool():
            return str(default).lower()
        case int() | float():
            return str(default)
        case str():
            return f'"{default}"'
        case dict():
            return "{}"
        case _ if default is None or default is PydanticUndefined:
            return '""'
        case _:
            return f'"{default}"'
