"""The command: one call a verb, one document with --json, and a code that scripts can trust."""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from builders import ONE_SITE, a_structure

from agent.asjson import outcome_json
from agent.cli import cli, main
from agent.errors import BackendUnreachable, SiteUnreachable
from agent.outcome import Outcome
from agent.state.records import Result

Done = tuple[int, str, str]
Wpsa = Callable[..., Done]


@pytest.fixture
def wpsa(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> Wpsa:
    """A function: run the command in this process; (code, stdout, stderr)."""
    monkeypatch.setenv("WPSA_STATE_DIR", str(tmp_path / "state"))
    for module, hook in ((threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))  # put back afterwards: here bugs are pytest's

    def run(*arguments: str, **environ: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["wpsa", *arguments])
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
            sys.exit(0)
        gc.enable()
        code = ended.value.code
        assert isinstance(code, int)
        return (code, *capsys.readouterr())

    return run


def verbs(group: click.Group = cli, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= verbs(command, (*path, name))
        else:
            found[(*path, name)] = command
    return found


def test_the_version_is_one_line(wpsa: Wpsa) -> None:
    from agent import __version__

    assert wpsa("--version") == (0, f"wpsa {__version__}\n", "")


@pytest.mark.parametrize("verb", [(), *verbs()], ids=" ".join)
def test_every_verb_helps(wpsa: Wpsa, verb: tuple[str, ...]) -> None:
    code, out, err = wpsa(*verb, "--help")

    assert (code, err) == (0, "")
    assert out.startswith("Usage: wpsa")


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_no_secret_can_be_given_as_a_flag(verb: tuple[str, ...]) -> None:
    names = " ".join(option for parameter in verbs()[verb].params for option in parameter.opts)

    assert not any(word in names for word in ("password", "key", "token", "secret"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("sink",), ("--typo",), ("show",), ("show", "a", "b"), ("status", "--typo"), ("--log-level", "loud", "status"),
        ("config", "sho"), ("diff",), ("check", "a", "b"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_usage(wpsa: Wpsa, arguments: tuple[str, ...]) -> None:
    code, out, err = wpsa(*arguments)

    assert (code, out) == (2, "")
    assert "Error: " in err


def test_without_a_verb_there_is_help(wpsa: Wpsa) -> None:
    code, out, err = wpsa()

    assert code == 2
    assert "Usage: wpsa" in out + err


def test_wrong_settings_are_one_line_and_78(wpsa: Wpsa) -> None:
    code, out, err = wpsa("status", WPSA_LOG_LEVEL="loud", WPSA_TYPO="1")

    assert (code, out, err.count("\n")) == (78, "", 1)
    assert err.startswith("error: WPSA_TYPO is not a setting; WPSA_LOG_LEVEL is wrong")
    assert "wpsa config show" in err


JSON_VERBS = [
    (*verb, *("shop" for parameter in command.params if isinstance(parameter, click.Argument) and parameter.required))
    for verb, command in verbs().items()
    if any("--json" in parameter.opts for parameter in command.params)
]


@pytest.mark.parametrize("arguments", JSON_VERBS, ids=" ".join)
def test_with_json_a_failure_is_one_document_too(wpsa: Wpsa, arguments: tuple[str, ...]) -> None:
    code, out, err = wpsa(*arguments, "--json", WPSA_LOG_LEVEL="loud")

    assert (code, err) == (78, "")
    assert json.loads(out).keys() == {"error", "reason", "message", "hint", "exit_code"}
    assert json.loads(out)["exit_code"] == 78


def test_there_are_verbs_with_json() -> None:
    assert len(JSON_VERBS) >= 6


@pytest.mark.parametrize("arguments", [("status",), ("history", "shop"), ("diff", "shop"), ("config", "show")], ids=" ".join)
def test_with_json_stdout_is_one_document_and_nothing_else(wpsa: Wpsa, arguments: tuple[str, ...]) -> None:
    code, out, err = wpsa(*arguments, "--json", **ONE_SITE, WPSA_SITE_NAME="shop")

    assert (code, err) == (0, "")
    assert json.loads(out) is not None
    assert "key-of-the-shop" not in out


@pytest.mark.parametrize("arguments", [("status",), ("history", "shop"), ("diff", "shop"), ("config", "show")], ids=" ".join)
def test_people_get_plain_text_in_a_pipe(wpsa: Wpsa, arguments: tuple[str, ...]) -> None:
    code, out, err = wpsa(*arguments, **ONE_SITE, WPSA_SITE_NAME="shop")

    assert (code, err) == (0, "")
    assert out
    assert "\x1b" not in out
    assert "key-of-the-shop" not in out


def test_the_schema_is_json_and_the_example_is_toml(wpsa: Wpsa) -> None:
    import tomllib

    assert json.loads(wpsa("config", "schema")[1])["type"] == "object"
    assert isinstance(tomllib.loads(wpsa("config", "init")[1]), dict)


@pytest.mark.parametrize("arguments", [("show", "nobody"), ("sync", "nobody"), ("check", "nobody"), ("history", "nobody")])
def test_an_unknown_site_is_usage(wpsa: Wpsa, arguments: tuple[str, ...]) -> None:
    code, out, err = wpsa(*arguments, **ONE_SITE)

    assert (code, out) == (2, "")
    assert "no site is called 'nobody' (configured: shop.example)" in err


def test_without_a_site_it_is_said_what_to_set(wpsa: Wpsa) -> None:
    code, _, err = wpsa("sync")

    assert code == 78
    assert "WPSA_SITE_URL" in err


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """What `sync` will have done."""
    done: list[Outcome] = []

    async def sync_now(_: Any, sites: Any, **__: Any) -> list[dict[str, Any]]:
        return [outcome_json(outcome) for outcome in done]

    monkeypatch.setattr("agent.oneshot.sync_now", sync_now)
    return done


def test_sync_ends_with_the_code_of_its_outcomes(wpsa: Wpsa, outcomes: list[Outcome]) -> None:
    outcomes.append(Outcome("a", Result.DELIVERED, 1.0, structure=a_structure()))
    first = wpsa("sync", **ONE_SITE)
    outcomes.append(Outcome("b", Result.PENDING, 1.0, BackendUnreachable("m", reason="r", hint="h")))
    second = wpsa("sync")
    outcomes.append(Outcome("c", Result.UNREADABLE, 1.0, SiteUnreachable("m", reason="r", hint="h")))
    third = wpsa("sync", "--json")

    assert (first[0], second[0], third[0]) == (0, 75, 3)
    assert "a: structure synced successfully" in first[1]
    said = json.loads(third[1])
    assert said["exit_code"] == 3
    assert [one["result"] for one in said["sites"]] == ["delivered", "pending", "unreadable"]


def test_a_quiet_sync_prints_what_went_wrong(wpsa: Wpsa, outcomes: list[Outcome]) -> None:
    outcomes.append(Outcome("a", Result.DELIVERED, 1.0, structure=a_structure()))
    outcomes.append(Outcome("b", Result.UNREADABLE, 1.0, SiteUnreachable("m", reason="r", hint="h")))

    code, out, _ = wpsa("sync", "--quiet", **ONE_SITE)

    assert code == 3
    assert out.splitlines() == ["b: failed: m", "  hint: h"]


def test_what_is_allowed_and_unwise_is_said_at_each_start(wpsa: Wpsa, outcomes: list[Outcome]) -> None:
    outcomes.append(Outcome("shop.example", Result.DELIVERED, 1.0, structure=a_structure()))
    in_clear = {"WPSA_BACKEND_URL": "http://backend.example", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true"}

    _, _, logged = wpsa("--log-format", "json", "sync", **(ONE_SITE | in_clear))

    [line] = [json.loads(line) for line in logged.splitlines() if "unwise" in line]
    assert (line["event"], line["level"]) == ("settings.unwise", "warning")
    assert line["hint"].startswith("Serve it by https")


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "\u0661/2"])
def test_a_share_that_does_not_exist_is_usage(wpsa: Wpsa, shard: str) -> None:
    code, out, err = wpsa("sync", "--shard", shard, **ONE_SITE)

    assert (code, out) == (2, "")
    assert "is not a share such as 1/4" in err


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_secret_that_the_backend_echoes_is_not_printed(
    wpsa: Wpsa, outcomes: list[Outcome], flags: tuple[str, ...]
) -> None:
    error = BackendUnreachable("HTTP 500: bad key key-of-the-shop", reason="be_5xx", hint="h")
    outcomes.append(Outcome("a", Result.PENDING, 1.0, error))

    _, out, err = wpsa("sync", *flags, **ONE_SITE)

    assert "bad key ***" in out
    assert "key-of-the-shop" not in out + err


def test_a_bug_is_one_line_and_70(wpsa: Wpsa, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("key-of-the-shop")

    monkeypatch.setattr("agent.look.standings", broken)

    code, out, err = wpsa("status", **ONE_SITE)

    assert (code, out, err.count("\n")) == (70, "", 1)
    assert "ZeroDivisionError in test_cli.py" in err
    assert "key-of-the-shop" not in err


@pytest.mark.parametrize("raised", [KeyboardInterrupt, click.Abort])
def test_an_interrupted_command_ends_as_shells_expect(
    wpsa: Wpsa, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise raised

    monkeypatch.setattr("agent.look.standings", interrupted)

    assert wpsa("status", **ONE_SITE)[0] == 130


def test_an_errors_message_loses_its_secrets(wpsa: Wpsa, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise SiteUnreachable("it said key-of-the-shop", reason="r", hint="not key-of-the-shop")

    monkeypatch.setattr("agent.look.standings", fails)

    for flags in ((), ("--json",)):
        code, out, err = wpsa("status", *flags, **ONE_SITE)
        assert code == 69
        assert "key-of-the-shop" not in out + err


# --- in a process of its own --------------------------------------------------------------------


def test_a_reader_that_left_is_no_failure() -> None:
    """`wpsa config schema | head -c 1`"""
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()

    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(("encoding", "flags"), [("ascii", ["--json"]), ("latin-1", [])])
def test_a_terminal_without_unicode_is_no_bug(encoding: str, flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "config", "show", *flags],
        env={"PYTHONIOENCODING": encoding, "WPSA_SITE_URL": "https://käse.example"},
        capture_output=True,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    if flags:
        assert {"option": "site.url", "value": "https://käse.example", "source": "environment"} in json.loads(done.stdout)


def test_nothing_heavy_is_imported_before_a_verb_needs_it() -> None:
    code = "import sys, agent.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("django", "apscheduler", "uvicorn", "httpx", "sqlite3", "asyncio", "pydantic", "rich", "structlog")

    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_what_is_only_looked_up_goes_without_network_and_log(tmp_path: Path) -> None:
    """`wpsa status` stands in prompts and scripts: half of its time was imports."""
    code = (
        "import contextlib, io, sys; from agent.cli import cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    cli(['status'])\n"
        "print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    heavy = ("django", "apscheduler", "uvicorn", "httpx", "h11", "stamina", "structlog", "agent.sync")
    environ = ONE_SITE | {"WPSA_STATE_DIR": str(tmp_path), "HOME": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", code, *heavy], env=environ, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_bug_of_a_verb_that_logs_nothing_has_its_traceback_at_debug(
    wpsa: Wpsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("key-of-the-shop")

    monkeypatch.setattr("agent.look.standings", broken)

    code, _, err = wpsa("--log-level", "debug", "status", **ONE_SITE)

    assert code == 70
    assert "Traceback" in err
    assert "key-of-the-shop" not in err
