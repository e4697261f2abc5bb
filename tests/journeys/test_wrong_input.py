"""What a person gets who typed something wrong, or whose other side is not what it should be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from backend import StandIn
from journey import API_KEY, Done, Wpsa, places_of

from agent.demo.wordpress import WordPress

LOGIN, PASSWORD = "sync-bot", "CaNa RyPa sswo rd12 34/6 789+"


@contextmanager
def web_server(announced: str = "") -> Iterator[str]:
    """A web server that answers every path with the same page; it may announce a REST API, as WordPress does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><title>Welcome</title>{announced}<p>Hello".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    serving = Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@pytest.fixture
def page_server() -> Iterator[str]:
    with web_server() as url:
        yield url


@pytest.fixture
def page_in_place_of_rest() -> Iterator[str]:
    with web_server('<link rel="https://api.w.org/" href="/wp-json/">') as url:
        yield url


@pytest.fixture
def somebody(new_user: Callable[..., Wpsa]) -> Wpsa:
    """Somebody with secrets who looks closely: everything is logged."""
    return new_user(
        SITE_NAME="shop",
        SITE_URL="http://127.0.0.1:9",
        SITE_USERNAME=LOGIN,
        SITE_APPLICATION_PASSWORD=PASSWORD,
        LOG_LEVEL="debug",
    )


def assert_one_cause_and_remedy(done: Done, cause: str, remedy: str) -> None:
    """One line for people, on stderr, with both; the log may say it besides."""
    assert len(done.said) == 1, done.stderr
    [line] = done.said
    assert line.startswith("error: ")
    assert cause in line
    assert remedy in line.split(" — ", 1)[1]
    assert done.stdout == ""


def assert_no_trace(wpsa: Wpsa, done: Done) -> None:
    """Neither a traceback nor a secret, in any spelling, in anything that was said or kept."""
    kept = wpsa.files()
    assert "Traceback" not in done.stdout + done.stderr
    assert places_of(PASSWORD, LOGIN, done.stdout, done.stderr, *kept.values()) == []
    assert places_of(API_KEY, "", done.stdout, done.stderr, *kept.values()) == []


@pytest.mark.parametrize(
    ("url", "code", "cause", "remedy"),
    [
        ("http://nosuch.invalid", 69, "the name does not resolve", "Check the spelling"),
        ("http://127.0.0.1:9", 69, "the connection was refused", "Check the port"),
    ],
)
def test_an_address_where_nothing_answers_is_unavailable(
    somebody: Wpsa, url: str, code: int, cause: str, remedy: str
) -> None:
    done = somebody.run("show", "shop", SITE_URL=url, SITE_ALLOW_INSECURE_HTTP="true")

    assert done.code == code
    assert_one_cause_and_remedy(done, cause, remedy)
    assert_no_trace(somebody, done)


def test_a_web_server_without_wordpress_is_told_apart_from_one_that_is_down(somebody: Wpsa, page_server: str) -> None:
    done = somebody.run("show", "shop", SITE_URL=page_server)

    assert done.code == 65
    assert_one_cause_and_remedy(done, "no WordPress REST API", "address")
    assert_no_trace(somebody, done)


def test_a_web_page_in_the_place_of_the_rest_api_is_no_data(somebody: Wpsa, page_in_place_of_rest: str) -> None:
    done = somebody.run("show", "shop", SITE_URL=page_in_place_of_rest)

    assert done.code == 65
    assert_one_cause_and_remedy(done, "REST API", "address")
    assert_no_trace(somebody, done)


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "cause", "remedy"),
    [
        (["sync"], {"LOG_LEVEL": "loud"}, 78, "WPSA_LOG_LEVEL", "wpsa config show"),
        (["sync"], {"SITE_ULR": "http://127.0.0.1:9"}, 78, "WPSA_SITE_ULR is not a setting", "wpsa config show"),
        (["sync"], {"SITE_USERNAME": ""}, 78, "username and application_password", "wpsa config show"),
        (["sync"], {"BACKEND_URL": "http://127.0.0.1:9"}, 78, "WPSA_BACKEND_API_KEY", "wpsa config show"),
        (["show", "shpo"], {}, 2, "no site is called 'shpo'", "https://"),
        (["history", "shpo"], {}, 2, "no site is called 'shpo'", "https://"),
    ],
)
def test_a_setting_or_an_argument_that_makes_no_sense_is_named(
    somebody: Wpsa, arguments: list[str], settings: dict[str, str], code: int, cause: str, remedy: str
) -> None:
    done = somebody.run(*arguments, **settings)

    assert done.code == code, done.stderr
    assert_one_cause_and_remedy(done, cause, remedy)
    assert_no_trace(somebody, done)


def test_without_any_site_the_first_step_is_named(new_user: Callable[..., Wpsa]) -> None:
    done = new_user().run("run")

    assert done.code == 78
    assert_one_cause_and_remedy(done, "no site is configured", "WPSA_SITE_URL")


def test_all_wrong_settings_are_named_at_once(somebody: Wpsa) -> None:
    done = somebody.run("sync", LOG_LEVEL="loud", HUB_LISTEN="here", SCHEDULE_TIMEZONE="Mars/Olympus")

    assert done.code == 78
    [line] = done.said
    assert all(name in line for name in ("WPSA_LOG_LEVEL", "WPSA_HUB_LISTEN", "WPSA_SCHEDULE_TIMEZONE"))
    assert not any(value in line for value in ("loud", "Olympus"))


@pytest.mark.parametrize(
    ("settings", "listing_fault", "code", "cause", "remedy"),
    [
        ({"BACKEND_API_KEY": "wrong-CANARY-key"}, "", 77, "refused the credential", "WPSA_BACKEND_API_KEY"),
        ({"BACKEND_SITE_ID": "43"}, "", 69, "no WordPress integration for site 43", "WPSA_BACKEND_SITE_ID"),
        ({}, "html", 78, "no JSON", "WPSA_BACKEND_URL"),
    ],
)
def test_a_backend_that_will_not_take_it_says_what_to_do(
    wpsa: Wpsa,
    backend: StandIn,
    settings: dict[str, str],
    listing_fault: str,
    code: int,
    cause: str,
    remedy: str,
) -> None:
    backend.listing_fault = listing_fault

    done = wpsa.run("sync", LOG_LEVEL="debug", **settings)

    assert done.code == code, done.stdout
    first, hint = done.stdout.splitlines()
    assert cause in first
    assert remedy in hint
    assert_no_trace(wpsa, done)
    assert places_of("wrong-CANARY-key", "", done.stdout, done.stderr, *wpsa.files().values()) == []
    assert backend.pushes == []


def test_no_secret_is_said_or_kept_when_all_goes_well_and_everything_is_logged(
    wpsa: Wpsa, wordpress: WordPress
) -> None:
    password = wordpress.application_password()

    done = wpsa.run(
        "sync", LOG_LEVEL="debug", SITE_USERNAME=wordpress.blueprint.login, SITE_APPLICATION_PASSWORD=password
    )

    assert done.code == 0, done.stdout
    requests = [line for line in done.log if line["event"] == "request.finished"]
    assert {line["peer"] for line in requests} == {"site", "backend"}
    assert_no_trace(wpsa, done)
    kept = wpsa.files().values()
    assert places_of(password, wordpress.blueprint.login, done.stdout, done.stderr, *kept) == []


def test_with_json_a_failure_is_one_document_too(somebody: Wpsa) -> None:
    done = somebody.run("show", "shop", "--json")

    assert done.code == done.json["exit_code"] == 69
    assert done.json["error"] == "SiteUnreachable"
    assert done.json["hint"]
    assert done.said == []


def test_a_log_line_stays_json_when_something_in_it_is_masked(wpsa: Wpsa) -> None:
    done = wpsa.run("sync", LOG_LEVEL="debug", BACKEND_API_KEY="wrong-CANARY-key")

    assert done.code == 77
    assert any("Bearer ***" in str(line.get("body")) for line in done.log)
    assert done.said == []


def test_check_finds_the_cause_tells_the_remedy_and_writes_nothing(wpsa: Wpsa, backend: StandIn) -> None:
    well = wpsa.run("check")
    ill = wpsa.run("check", "--json", BACKEND_API_KEY="wrong-CANARY-key")

    assert well.code == 0, well.stdout
    assert all(line.startswith(("ok ", "note ", "   ")) for line in well.stdout.splitlines())
    assert ill.code == 77
    [finding] = [one for one in ill.json if not one["ok"]]
    assert finding["check"] == "integration"
    assert "WPSA_BACKEND_API_KEY" in finding["hint"]
    assert backend.pushes == []
    assert wpsa.files() == {}


def test_a_bug_is_one_line_and_shows_no_variable_even_before_the_settings_are_read(somebody: Wpsa) -> None:
    (somebody.home / "sitecustomize.py").write_text(
        "import agent.config\n"
        "def broken(*_, **__):\n"
        f"    password = {PASSWORD!r}\n"
        "    raise RuntimeError('broken for a test')\n"
        "agent.config.load = broken\n"
    )
    somebody.more["PYTHONPATH"] = str(somebody.home)

    done = somebody.run("status")

    assert done.code == 70
    assert_one_cause_and_remedy(done, "internal error: RuntimeError", "report it")
    assert PASSWORD not in done.stdout + done.stderr
