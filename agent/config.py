"""Settings from where operators keep them: found, merged, checked as a whole, and traced to their source."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from platformdirs import user_config_path
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import InitSettingsSource

from agent.consistency import Caution, cautions, contradictions
from agent.errors import ConfigError
from agent.secretfile import Unfit, is_open_to_all, read_secret
from agent.settings import Section, Settings

Nested = dict[str, Any]

SYSTEM_CONFIG = Path("/etc/wpsa/wpsa.toml")
OTHER_VARIABLES = ("WPSA_CONFIG",)
"""Named like an option, read elsewhere."""
OTHER_PREFIXES = ("WPSA_HUB_", "WPSA_DEMO_", "WPSA_REQUIRE_")
"""Of the hub on its own, the demo and the tests."""

_HINT = "Correct it, then look at the result with: wpsa config show"


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    sources: Mapping[str, str]
    """{`section.key`: `argument`, `environment`, `secret file` or the TOML file}; the rest are defaults."""
    files: tuple[Path, ...] = ()
    """What was read: the TOML file and every secret's."""
    cautions: tuple[Caution, ...] = ()


def load(arguments: Nested, *, config: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """The settings of this process; raises ConfigError that names every problem, and no value."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    files: list[Path] = []
    unwise: list[Caution] = []
    toml_file = _find_config(config, environ)
    layers = [
        ("argument", arguments),
        ("environment", _from_environment(environ, problems)),
        ("secret file", _from_secret_files(environ, problems, files)),
        (str(toml_file), _from_toml(toml_file, problems, files, unwise)),
    ]
    settings = _validated([layer for _, layer in layers], problems)
    if settings is not None:
        problems += contradictions(settings)
    if problems or settings is None:
        raise ConfigError("; ".join(problems), reason="config", hint=_HINT)
    settings.came_from(lambda: load(arguments, config=config, environ=environ).settings)
    # From the weakest to the strongest, so that the strongest is named last.
    sources = {".".join(path): source for source, layer in reversed(layers) for path in _leaves(layer)}
    return Loaded(settings, sources, tuple(files), (*unwise, *cautions(settings)))


def _find_config(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """--config, else WPSA_CONFIG, else the user's or the system's; only the named ones must exist."""
    named = config or (Path(environ["WPSA_CONFIG"]) if environ.get("WPSA_CONFIG") else None)
    if named:
        return named
    return next((path for path in (user_config_path("wpsa") / "wpsa.toml", SYSTEM_CONFIG) if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return True  # behind a closed folder: reading it names that


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Nested:
    known = {name for name, _, _ in _variables()}
    for name in sorted(environ):
        foreign = name in OTHER_VARIABLES or name.startswith(OTHER_PREFIXES) or name.removesuffix("_FILE") in known
        if name.startswith("WPSA_") and not foreign:
            problems.append(f"{name} is not a setting")
    values: Nested = {}
    for name, (section, key), _ in _variables():
        if value := environ.get(name, ""):
            values.setdefault(section, {})[key] = value
    return values


def _from_secret_files(environ: Mapping[str, str], problems: list[str], files: list[Path]) -> Nested:
    values: Nested = {}
    for name, (section, key), secret in _variables():
        file = environ.get(f"{name}_FILE", "")
        if not file:
            continue
        if not secret:
            problems.append(f"{name}_FILE is not a setting: {name} is no secret")
        elif environ.get(name):
            problems.append(f"{name} and {name}_FILE are both set: keep one")
        else:
            files.append(Path(file))
            values.setdefault(section, {})[key] = _secret_in(Path(file), f"{name}_FILE", problems)
    return values


def _secret_in(file: Path, name: str, problems: list[str]) -> str:
    try:
        return read_secret(file)
    except Unfit as unfit:
        problems.append(f"{name}: {unfit}")
        return "unreadable"


def _from_toml(file: Path | None, problems: list[str], files: list[Path], unwise: list[Caution]) -> Nested:
    if file is None:
        return {}
    files.append(file)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        if _holds_secrets(values) and is_open_to_all(file):
            unwise.append(Caution(f"everybody on this machine can read {file}, which holds secrets", f"chmod 600 {file}"))
    except OSError as error:
        problems.append(f"{file}: cannot be read ({error.strerror})")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The parser's text names line and column, and none of the file's values.
        problems.append(f"{file}: is not TOML ({str(error).splitlines()[0]})")
        return {}
    for section in (*values.values(), *_tables(values.get("sites"))):
        _resolve_files(section, file, problems, files)
    return values


def _holds_secrets(values: Nested) -> bool:
    secrets = {place for _, place, secret in _variables() if secret}
    sections = [*values.items(), *(("site", site) for site in _tables(values.get("sites")))]
    return any((name, key) in secrets for name, section in sections if isinstance(section, dict) for key in section)


def _tables(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolve_files(section: Any, toml_file: Path, problems: list[str], files: list[Path]) -> None:
    """`api_key_file = "key"` becomes `api_key`; relative paths start at the TOML file's folder."""
    if not isinstance(section, dict):
        return
    for key in [key for key in section if key.endswith("_file")]:
        secret, file = key.removesuffix("_file"), section.pop(key)
        if secret in section or not isinstance(file, str):
            problems.append(f"{toml_file}: {secret} and {key} are both set, or {key} is no path: keep one")
        else:
            files.append(toml_file.parent / file)
            section[secret] = _secret_in(files[-1], key, problems)


def _variables() -> Iterator[tuple[str, tuple[str, str], bool]]:
    """(WPSA_SECTION_KEY, (section, key), is a secret) of every option that the environment may set."""
    for section, field in Settings.model_fields.items():
        model = _section_in(field.annotation)
        if model is None:
            continue
        for key, option in model.model_fields.items():
            if not _holds_sections(option.annotation):
                secret = SecretStr in _parts_of(option.annotation)
                yield f"WPSA_{section}_{key}".upper(), (section, key), secret


def _section_in(annotation: Any) -> type[Section] | None:
    """The section behind `Section` or `Section | None`; a list of sections is no matter of the environment."""
    if get_origin(annotation) is tuple:
        return None
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, Section)), None)


def _holds_sections(annotation: Any) -> bool:
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in _parts_of(annotation))


def _parts_of(annotation: Any) -> list[Any]:
    return [annotation, *(part for kind in get_args(annotation) for part in _parts_of(kind))]


def _leaves(layer: Nested, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in layer.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _validated(layers: list[Nested], problems: list[str]) -> Settings | None:
    """The settings that the layers make together, the first layer ruling; None, with the problems, when wrong."""

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **_: Any) -> Any:  # type: ignore[override]  # our layers replace all sources
            return tuple(InitSettingsSource(settings_cls, layer) for layer in layers)

    try:
        return Layered()
    except ValidationError as error:
        problems += [
            f"{_option(one['loc'])} {said_of(one)}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        return None


def _option(location: tuple[int | str, ...]) -> str:
    """`WPSA_BACKEND_URL` for ("backend", "url"); `[[sites]] 2: url` for ("sites", 1, "url")."""
    match location:
        case ("sites", int(index), *rest):
            return f"[[sites]] {index + 1}: {'.'.join(map(str, rest))}"
        case (str(section), str(key)):
            return f"WPSA_{section}_{key}".upper()
        case _:
            return ".".join(map(str, location))


def said_of(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "is not a setting"
    if problem["type"] == "string_pattern_mismatch":
        return "is too long, or holds a character that it cannot have"
    if problem["type"].startswith("time_"):
        return "is not a time of day such as 03:30"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return text if problem["type"] == "value_error" else f"is wrong: {text[:1].lower()}{text[1:]}"
