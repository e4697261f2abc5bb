"""Every secret is planted, everything is done at debug, and no byte that is left behind sings of one."""

import io
import logging
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from canaries import Canary, a_canary, a_password, sung
from doubles import Double, a_parrot, a_receiver, a_site, a_wreck, backend_of
from hostility import Hostility
from zygote import Zygote

PATIENCE_SECONDS = 30.0

CANARIES: Mapping[str, Canary] = {
    canary.slot: canary
    for canary in (
        a_password("application_password", "reader"),
        a_canary("http_password", username="gate"),
        a_canary("api_key"),
        a_canary("backend_password", username="bot@shop.example"),
        a_canary("access", pattern="{}.{}"),
        a_canary("refresh", pattern="{}.{}"),
        a_canary("ops_token"),
        a_canary("site_ping", pattern="{}-{}"),
        a_canary("fleet_ping", pattern="{}-{}"),
        a_canary("webhook", pattern="{}-{}"),
        a_canary("webhook_secret"),
    )
}

TOML = """
[log]
level = "debug"
format = "{format}"
[state]
dir = "{home}/state"
[hub]
listen = "127.0.0.1:0"
[ops]
listen = "127.0.0.1:0"
token_file = "{secrets}/ops_token"
[notify]
ping_url_file = "{secrets}/fleet_ping"
webhook_url_file = "{secrets}/webhook"
webhook_secret_file = "{secrets}/webhook_secret"
{backend}
[[sites]]
url = "{site}"
name = "shop"
{first_id}
username = "reader"
application_password_file = "{secrets}/application_password"
ping_url_file = "{secrets}/site_ping"
[[sites]]
url = "{site}/gated"
name = "gated"
{second_id}
username = "reader"
application_password_file = "{secrets}/application_password"
http_username = "gate"
http_password_file = "{secrets}/http_password"
"""
BY_KEY = '[backend]\nurl = "{}"\napi_key_file = "{}/api_key"\nverify = true'
BY_LOGIN = '[backend]\nurl = "{}"\nemail = "bot@shop.example"\npassword_file = "{}/backend_password"'


@dataclass
class Stage:
    """One agent among its doubles, and all that it leaves behind."""

    zygote: Zygote
    home: Path
    config: Path
    doubles: dict[str, Double]
    left: dict[str, bytes] = field(default_factory=dict)

    def run(self, *arguments: str) -> int:
        done = self.zygote.run("--config", str(self.config), *arguments, env=self.environment, cwd=self.home)
        name = " ".join(arguments)
        self.left |= {f"stdout of {name}": done.stdout, f"stderr of {name}": done.stderr}
        return done.returncode

    def run_daemon(self, until: Callable[[str], bool]) -> None:
        """From start to stop; asked for its metrics and its page, and its files copied, while it runs."""
        log = self.home / "daemon.log"
        with log.open("wb") as sink:
            process = self.zygote.start(
                "--config", str(self.config), "run", env=self.environment, cwd=self.home,
                stdout=sink.fileno(), stderr=sink.fileno(),
            )  # fmt: skip
        try:
            self._wait(lambda: until(log.read_text()) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            address = (self.home / "state" / "ops-address").read_text().strip()
            for path in ("/livez", "/readyz", "/metrics"):
                self.left[path] = _got(address + path)
            if page := re.search(r"page=?\"?:? ?\"?(http://[\d.:]+)", log.read_text()):
                self.left["the hub's page"] = _got(page[1])
            self.keep_files("while it ran")
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        finally:
            process.kill()
            process.wait()

    def keep_files(self, when: str) -> None:
        for path in (self.home / "state").rglob("*"):
            if path.is_file() and path.name not in OWN_SECRETS:
                self.left[f"{path.relative_to(self.home)} {when}"] = path.read_bytes()
        self.left |= {f"{path.name} {when}": path.read_bytes() for path in self.home.glob("*.log")}

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def _wait(self, found: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not found():
            assert time.monotonic() < deadline, (self.home / "daemon.log").read_text()[-3000:]
            time.sleep(0.02)


OWN_SECRETS = {"ops-token", "agent-api-key", "secret-key", "token-key"}
"""Files whose purpose is to hold a secret, for their owner alone."""


def _got(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body


@pytest.fixture
def new_stage(tmp_path: Path, zygote: Zygote, hostility: Hostility) -> Iterator[Callable[..., Stage]]:
    """A function: an agent with all secrets in their places, among these doubles."""
    with ExitStack() as stack:

        def staged(*, site: object = a_site, backend: object | None = None, by: str = "", format: str = "json") -> Stage:
            home, secrets = tmp_path / "home", tmp_path / "secrets"
            for folder in (home, secrets):
                folder.mkdir()
            receiver = stack.enter_context(Double(a_receiver))
            doubles = {"site": stack.enter_context(Double(site)), "receiver": receiver}  # type: ignore[arg-type]
            section = ""
            if backend:
                doubles["backend"] = stack.enter_context(Double(backend))  # type: ignore[arg-type]
                section = by.format(hostility.in_front_of(doubles["backend"].url), secrets)
            for slot, canary in CANARIES.items():
                address = slot in ("site_ping", "fleet_ping", "webhook")
                (secrets / slot).write_text(f"{receiver.url}/{canary.value}\n" if address else f"{canary.value}\n")
            config = home / "wpsa.toml"
            config.write_text(TOML.format(
                home=home, secrets=secrets, backend=section, site=doubles["site"].url, format=format,
                first_id='site_id = "42"' if backend else "", second_id='site_id = "43"' if backend else "",
            ))  # fmt: skip
            return Stage(zygote, home, config, doubles)

        yield staged


OF_THE_STATE = (("check",), ("sync",), ("status", "--json"), ("history", "shop", "--json"))
OF_THE_SITE = (("show", "shop", "-v"), ("show", "gated", "--json"))
BOTH = (*OF_THE_SITE, *OF_THE_STATE)
EACH = (*BOTH, ("sync", "shop", "--json"), ("config", "show"))
Verbs = tuple[tuple[str, ...], ...]


def everything_done(stage: Stage, until: Callable[[str], bool], verbs: Verbs) -> None:
    """The daemon, which does what is due at its first look, and the verbs after it."""
    stage.run_daemon(until)
    for arguments in verbs:
        stage.run(*arguments)
    stage.keep_files("at the end")


BACKEND = backend_of(CANARIES["access"], CANARIES["refresh"])


@pytest.mark.parametrize(
    ("doubles", "arrive", "verbs"),
    [
        ({"backend": BACKEND, "by": BY_KEY}, {"api_key", "application_password", "site_ping", "fleet_ping"}, EACH),
        ({"backend": BACKEND, "by": BY_LOGIN, "format": "console"}, {"backend_password", "access"}, OF_THE_STATE),
        ({"backend": a_parrot, "by": BY_KEY}, {"api_key", "webhook"}, OF_THE_STATE),
        ({"backend": a_parrot, "by": BY_LOGIN}, {"backend_password", "webhook"}, OF_THE_STATE),
        ({"backend": a_wreck, "by": BY_LOGIN}, {"backend_password"}, OF_THE_STATE),
        ({"backend": BACKEND, "by": BY_KEY, "site": a_parrot}, {"http_password", "webhook"}, BOTH),
        ({"backend": BACKEND, "by": BY_KEY, "site": a_wreck, "format": "console"}, {"http_password"}, BOTH),
        ({}, {"application_password"}, EACH),
    ],
    ids=["key", "login", "key refused", "login refused", "backend broken", "site refuses", "site broken", "embedded hub"],
)  # fmt: skip
def test_no_secret_sings(
    new_stage: Callable[..., Stage], doubles: Mapping[str, object], arrive: set[str], verbs: Verbs
) -> None:
    stage = new_stage(**doubles)

    def everybody_heard(log: str) -> bool:
        return log.count("run.finished") >= 2 and stage.doubles["receiver"].seen != []

    everything_done(stage, everybody_heard, verbs)

    arrived = {line.split(",")[0] for double in stage.doubles.values()
               for line in sung(CANARIES, {"request": "\n".join(double.seen).encode()})}  # fmt: skip
    assert arrive <= arrived, "a secret that nobody was sent proves nothing"
    assert sum(len(content) for content in stage.left.values()) > 20_000, "nothing was said at debug"
    assert ("the hub's page" in stage.left) == ("backend" not in doubles)
    assert sung(CANARIES, stage.left) == []


# --- whether the scan would notice --------------------------------------------------------------


@pytest.mark.parametrize("slot", CANARIES)
def test_the_scan_hears_every_form_of_every_canary(slot: str) -> None:
    for name, forms in CANARIES[slot].forms().items():
        for form in forms:
            place = {"a place": b"\x00\xffbefore " + form.encode() + b" after\x00"}
            assert f"{slot}, {name}: a place" in sung(CANARIES, place)


def test_canaries_are_told_apart() -> None:
    for canary in CANARIES.values():
        heard = {line.split(",")[0] for line in sung(CANARIES, {"a place": canary.value.encode()})}
        assert heard == {canary.slot}


def test_the_scan_hears_what_httpx_would_log_by_itself() -> None:
    canary = CANARIES["webhook"]
    stream = io.StringIO()
    logger, handler = logging.getLogger("httpx"), logging.StreamHandler(stream)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with Double(a_receiver) as receiver, httpx.Client(trust_env=False) as client:
            client.get(f"{receiver.url}/{canary.value}")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    assert "webhook, raw: log" in sung(CANARIES, {"log": stream.getvalue().encode()})
