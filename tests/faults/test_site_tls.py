"""Certificates (C59, S42): who cannot prove to be the site is not read, and nothing is sent to them."""

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fake_wordpress import COUNTS, PASSWORD
from fakes import answer, raw_server, served
from wire_site import WireSite, counts

from agent.bootstrap import _ssl_context, site_reader
from agent.config import load
from agent.errors import SiteUnreachable
from agent.structure.model import Answers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command, to make certificates"),
]


class Authority:
    """A certificate authority of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test authority",
                      "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        self.certificate = folder / "ca.pem"

    def server(self, name: str, *, alt: str, days: int = 1) -> ssl.SSLContext:
        (self._folder / f"{name}.ext").write_text(f"subjectAltName={alt}\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        # A negative number of days has expired as soon as it is made.
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its certificates are believed by this process, as an operator makes them believed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    _ssl_context.cache_clear()
    yield
    _ssl_context.cache_clear()


@asynccontextmanager
async def tls_site(context: ssl.SSLContext) -> AsyncIterator[WireSite]:
    async with served(WireSite([b""]), tls=context) as site:
        yield site


async def read_by_settings(url: str) -> Answers:
    options = {"url": url, "username": "joe", "application_password": PASSWORD}
    settings = load({"site": options}, environ={}).settings
    assert settings.site is not None
    return await site_reader(settings, [settings.site]).read(settings.site.as_site())


async def test_a_certificate_of_a_private_authority_is_refused_and_no_byte_is_sent(authority: Authority) -> None:
    async with tls_site(authority.server("good", alt="IP:127.0.0.1")) as site:
        with pytest.raises(SiteUnreachable) as failed:
            await read_by_settings(site.url)

        assert (failed.value.reason, failed.value.exit_code) == ("tls_untrusted", 69)
        assert "SSL_CERT_FILE" in failed.value.hint
        assert site.asked == []


async def test_with_its_authority_in_ssl_cert_file_it_is_read(authority: Authority, trusted: None) -> None:
    async with tls_site(authority.server("good", alt="IP:127.0.0.1")) as site:
        answers = await read_by_settings(site.url)

        assert counts(answers) == COUNTS | {"hidden": 6}
        assert answers.login.state == "proved_by_xmlrpc"


@pytest.mark.parametrize(
    ("name", "alt", "days", "reason"),
    [("other", "DNS:other.example", 1, "tls_name"), ("expired", "IP:127.0.0.1", -1, "tls_expired")],
)
async def test_a_certificate_for_another_name_or_another_time_is_refused(
    authority: Authority, trusted: None, name: str, alt: str, days: int, reason: str
) -> None:
    async with tls_site(authority.server(name, alt=alt, days=days)) as site:
        with pytest.raises(SiteUnreachable) as failed:
            await read_by_settings(site.url)

        assert failed.value.reason == reason
        assert site.asked == []


async def test_plain_text_on_a_tls_port_is_named() -> None:
    async with raw_server(answer(200)) as site:
        with pytest.raises(SiteUnreachable) as failed:
            await read_by_settings(site.url.replace("http://", "https://"))

    assert failed.value.reason == "tls_handshake"


async def test_an_old_tls_is_not_spoken(authority: Authority, trusted: None) -> None:
    old = authority.server("old", alt="IP:127.0.0.1")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with tls_site(old) as site:
        with pytest.raises(SiteUnreachable) as failed:
            await read_by_settings(site.url)

        assert failed.value.reason == "tls_handshake"
