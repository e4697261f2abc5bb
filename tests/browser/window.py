"""A browser's window that notices what no page of ours may do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Response

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)


class Window:
    """A page of Playwright's, with what it did that it should not have."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.faults: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"threw {error}"))
        page.on("dialog", self._on_dialog)
        page.on("response", self._on_response)
        page.on("request", self._on_request)

    def open(self, path: str, *, status: int = 200) -> Page:
        answer = self.page.goto(self.base + path if path.startswith("/") else path)
        assert answer is not None and answer.status == status, (path, answer and answer.status)
        return self.page

    def axe(self) -> list[str]:
        """What the rules of accessibility say against the page."""
        found = Axe().run(self.page).response["violations"]
        return [f"{fault['id']} ({fault['impact']}): {fault['nodes'][0]['html'][:200]}" for fault in found]

    def is_too_wide(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def _on_console(self, said: ConsoleMessage) -> None:
        if not said.text.startswith("Failed to load resource"):  # a page with a status such as 404: tests look at those
            self.faults.append(f"console: {said.text}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "about:")):
            self.faults.append(f"asked {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.request.resource_type not in ("document", "xhr") or response.status in (301, 302):
            return
        headers = response.headers
        policy, caching = headers.get("content-security-policy", ""), headers.get("cache-control", "")
        wrong = [name for name, value in HEADERS.items() if headers.get(name) != value]
        wrong += [directive for directive in DIRECTIVES if directive not in policy]
        if wrong or "unsafe" in policy or "no-store" not in caching:
            self.faults.append(f"headers of {response.url}: {wrong} {policy} {caching}")


@contextmanager
def open_window(chromium: Browser, base: str, owner: dict[str, Any] | None = None, **options: Any) -> Iterator[Window]:
    """A window with cookies and storage of its own.

    base     the hub's address
    options  color_scheme, viewport, java_script_enabled … as Playwright's new_context takes them
    """
    with chromium.new_context(**options) as context:
        context.set_default_timeout(30_000)
        if owner is not None:
            context.add_cookies([{**owner["cookie"], "url": base, "sameSite": "Strict", "httpOnly": True}])
        window = Window(context.new_page(), base)
        yield window
        assert not window.faults, "\n".join(window.faults)
