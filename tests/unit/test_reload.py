"""Settings that change while the agent runs: whole, or not at all."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, Logs, ManualClock, an_agent

from agent.bootstrap import Agent
from agent.config import Loaded, load
from agent.errors import ConfigError, StateFailed, StateFull
from agent.ops.metrics import Metrics
from agent.redact import Redactor
from agent.reload import Moves, Reload
from agent.rounds import Rounds
from agent.settings import Settings, SiteSettings
from agent.state.ledger import Ledger

pytestmark = pytest.mark.anyio

BEGIN = """
[backend]
url = "https://backend.example"
api_key_file = "key"
"""
SITE = '[[sites]]\nurl = "https://{0}.example"\nname = "{0}"\nsite_id = "1"\n'


@dataclass
class World:
    """An agent that runs by a file, which a test rewrites."""

    toml: Path
    rounds: Rounds
    reload: Reload
    metrics: Metrics
    backend: FakeBackend
    open: list[Agent] = field(default_factory=list)

    def write(self, *sites: str, more: str = "", top: str = "") -> None:
        self.toml.write_text(top + BEGIN + more + "".join(SITE.format(site) for site in sites))

    @property
    def sites(self) -> list[str]:
        return [site.name for site in self.rounds.agent.sites]


@pytest.fixture
async def world(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, state_folder: Path, redactor: Redactor, logs: Logs
) -> AsyncIterator[World]:
    toml, key, backend, opened = tmp_path / "wpsa.toml", tmp_path / "key", FakeBackend(), list[Agent]()
    key.write_text("key-one\n")

    def move_in(_: Settings, sites: Sequence[SiteSettings]) -> AbstractAsyncContextManager[Agent]:
        @asynccontextmanager
        async def moved() -> AsyncIterator[Agent]:
            agent = an_agent(ledger, clock, FakeReader({site.called: answers() for site in sites}), backend, state_folder)
            opened.append(agent)
            yield agent
            opened.remove(agent)

        return moved()

    def reread() -> Loaded:
        return load({}, config=toml, environ={"WPSA_STATE_DIR": str(state_folder)})

    toml.write_text(BEGIN + SITE.format("a"))
    loaded = reread()
    async with Moves(move_in) as moves:
        rounds = Rounds(await moves.to(loaded.settings, loaded.settings.all_sites))
        metrics = Metrics(now=clock.clock.now)
        reload = Reload(loaded, reread, rounds=rounds, moves=moves, metrics=metrics, redactor=redactor)
        yield World(toml, rounds, reload, metrics, backend, opened)
        await rounds.end(within_seconds=0)
    assert opened == []


def successful(metrics: Metrics) -> bool:
    return b"\nwpsa_config_last_reload_successful 1.0\n" in metrics.exposition()


async def test_sites_come_and_go(world: World, logs: Logs) -> None:
    world.write("b", "c")

    await world.reload.reload()

    assert world.sites == ["b", "c"]
    assert successful(world.metrics)
    assert b"\nwpsa_sites 2.0\n" in world.metrics.exposition()
    assert [line["event"] for line in logs.lines] == ["settings.reloaded"]


async def test_what_the_new_settings_allow_unwisely_is_said(world: World, logs: Logs) -> None:
    world.toml.write_text(BEGIN.replace("https", "http") + "allow_insecure_http = true\n" + SITE.format("a"))

    await world.reload.reload()

    assert [line["event"] for line in logs.lines] == ["settings.unwise", "settings.reloaded"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": "[typo"},
        {"more": '[log]\nlevel = "loud"\n'},
        {"more": "[reading]\nsites_at_once = 0\n"},
        {"more": '[state]\ndirr = "/x"\n'},
        {"more": '[ops]\nlisten = "127.0.0.1:1"\n'},
        {"more": '[hub]\nlisten = "127.0.0.1:1"\n'},
    ],
    ids=str,
)
async def test_a_wrong_file_is_refused_whole_and_the_old_settings_go_on(
    world: World, logs: Logs, wrong: dict[str, str]
) -> None:
    before = world.rounds.agent
    world.write("b", **wrong)

    await world.reload.reload()

    assert world.rounds.agent is before
    assert not successful(world.metrics)
    [line] = logs.lines
    assert (line["event"], line["level"]) == ("settings.refused", "error")
    assert line["hint"]

    world.write("b")
    await world.reload.reload()
    assert world.sites == ["b"]
    assert successful(world.metrics)


async def test_without_any_site_the_old_ones_go_on(world: World) -> None:
    world.write()

    await world.reload.reload()

    assert world.sites == ["a"]


async def test_an_empty_secret_file_is_no_new_secret(world: World, logs: Logs) -> None:
    world.toml.with_name("key").write_text("")

    await world.reload.reload()

    assert [line["event"] for line in logs.lines] == ["settings.refused"]


async def test_a_new_secret_is_masked_from_then_on(world: World, redactor: Redactor) -> None:
    world.toml.with_name("key").write_text("key-two-CANARY\n")

    await world.reload.reload()

    assert redactor.hide("it said key-two-CANARY") == "it said ***"


async def test_a_refusal_quotes_no_new_secret(world: World, logs: Logs) -> None:
    world.toml.with_name("key").write_text("key with CANARY spaces\n")

    await world.reload.reload()

    assert "CANARY" not in logs.text


async def test_the_level_of_the_log_follows(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    world.write("a", more='[log]\nlevel = "error"\nformat = "json"\n')

    await world.reload.reload()

    assert logging.getLogger().level == logging.ERROR
    assert capfd.readouterr().err == ""


# --- when ---------------------------------------------------------------------------------------


async def test_nothing_is_read_again_while_nothing_changes(world: World, logs: Logs) -> None:
    for _ in range(5):
        await world.reload.if_wanted()

    assert logs.lines == []


async def test_a_file_that_changed_is_read_once_it_is_left_alone(world: World) -> None:
    world.write("a", "b")
    await world.reload.if_wanted()
    first = world.sites
    world.write("a", "b", "c")
    await world.reload.if_wanted()
    second = world.sites
    await world.reload.if_wanted()

    assert (first, second, world.sites) == (["a"], ["a"], ["a", "b", "c"])


async def test_a_wrong_file_is_told_of_once(world: World, logs: Logs) -> None:
    world.write("b", top="[typo")
    for _ in range(5):
        await world.reload.if_wanted()

    assert [line["event"] for line in logs.lines] == ["settings.refused"]


async def test_a_changed_secret_file_counts_too(world: World, logs: Logs) -> None:
    world.toml.with_name("key").write_text("key-number-two\n")
    for _ in range(3):
        await world.reload.if_wanted()

    assert [line["event"] for line in logs.lines] == ["settings.reloaded"]


async def test_a_file_that_is_gone_is_a_wrong_one(world: World, logs: Logs) -> None:
    world.toml.unlink()
    for _ in range(3):
        await world.reload.if_wanted()

    assert [line["event"] for line in logs.lines] == ["settings.refused"]
    assert world.sites == ["a"]


async def test_a_hangup_asks_for_it_at_once(world: World) -> None:
    woken = asyncio.Event()
    world.reload.on_hangup(woken.set)
    try:
        world.write("b")
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(woken.wait(), 1)
        await world.reload.if_wanted()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    assert world.sites == ["b"]


# --- one agent after another --------------------------------------------------------------------


async def test_the_agent_before_stays_until_its_work_has_ended(world: World) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        begun.set()
        await release.wait()
        return answers()

    before = world.rounds.agent
    before.ports.reader.read = slow  # type: ignore[method-assign]
    asked = world.rounds.ask("a")
    await begun.wait()
    world.write("b")

    await world.reload.reload()
    await world.reload.if_wanted()
    during = before in world.open
    release.set()
    outcome = await asked
    await world.reload.if_wanted()

    assert during
    assert outcome.error is None
    assert world.open == [world.rounds.agent]


async def test_an_agent_that_cannot_move_in_changes_nothing(world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> Agent:
        raise ConfigError("site b: its id at the backend is not known", reason="config", hint="h")

    world.write("b")
    monkeypatch.setattr(Moves, "to", refused)

    await world.reload.reload()

    assert world.sites == ["a"]
    assert logs.lines[-1]["error"] == "site b: its id at the backend is not known"


# --- a state that cannot be written -------------------------------------------------------------


async def test_new_settings_rule_though_the_disk_is_full_for_the_moment(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“internal error”, and the daemon was gone: a hangup in the middle of an outage."""
    def full(**_: object) -> None:
        raise StateFull("the disk with the state is full", reason="state_full", hint="Make room.")

    world.write("b")
    monkeypatch.setattr(world.rounds.agent.ledger, "forget_held", full)

    await world.reload.reload()

    assert world.sites == ["b"]
    assert world.rounds.trouble is not None
    assert [line["event"] for line in logs.lines] == ["state.degraded", "settings.reloaded"]


async def test_settings_that_the_state_cannot_take_in_yet_are_tried_again_and_told_of_once(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> Agent:
        raise StateFailed("the hub's database cannot be read or written: disk is full", reason="state_io", hint="Make room.")

    world.write("b")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Moves, "to", full)
        for _ in range(4):
            await world.reload.if_wanted()
        before = world.sites
    for _ in range(2):
        await world.reload.if_wanted()

    assert (before, world.sites) == (["a"], ["b"])
    assert [line["event"] for line in logs.lines] == ["settings.refused", "settings.reloaded"]
