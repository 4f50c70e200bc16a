"""A Chromium driven over the WebDriver protocol (https://www.w3.org/TR/webdriver2/): plain HTTP to chromedriver."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVERS = ("chromedriver",)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """Return what has to be installed before these tests can run, "" when everything is there."""
    if not _found("FATHOM_CHROMEDRIVER", DRIVERS):
        return "no chromedriver (Debian: apt-get install chromium chromium-driver)"
    if not _found("FATHOM_CHROMIUM", BROWSERS):
        return "no Chromium (Debian: apt-get install chromium chromium-driver)"
    return ""


def _found(variable: str, names: tuple[str, ...]) -> str | None:
    return os.environ.get(variable) or next((path for name in names if (path := shutil.which(name))), None)


class BrowserError(Exception):
    """What the browser says went wrong."""


class Browser:
    """One browser window."""

    def __init__(self, http: httpx.Client, capabilities: dict[str, Any]) -> None:
        self._http = http
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"
        self.command("POST", "timeouts", {"script": 20_000, "pageLoad": 30_000})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        reply = self._http.request(method, path, json=body if body is not None else None)
        value = reply.json()["value"]
        if reply.status_code >= 400:
            raise BrowserError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Do one command of the protocol on this window."""
        return self._ask(method, f"{self._session}/{path}" if path else self._session, body)

    def open(self, url: str) -> None:
        """Go to an address and wait until its page is loaded."""
        self.command("POST", "url", {"url": url})

    @property
    def url(self) -> str:
        """Return the address as the browser shows it."""
        return str(self.command("GET", "url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function body in the page and return what it returns; a promise is waited for."""
        body = f"const done = arguments[arguments.length - 1]; const given = Array.from(arguments).slice(0, -1);\
            (async function () {{ {script} }}).apply(null, given)\
            .then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));"
        answer = self.command("POST", "execute/async", {"script": body, "args": list(arguments)})
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer.get("value")

    def wait(self, script: str, *arguments: Any, seconds: float = 20.0) -> Any:
        """Run a function body until it returns something true, and return that."""
        end = time.monotonic() + seconds
        while True:
            found = self.run(script, *arguments)
            if found:
                return found
            if time.monotonic() > end:
                raise BrowserError(f"never came true: {script}\npage: {self.text()[:1500]}")
            time.sleep(0.05)

    def text(self, selector: str = "body") -> str:
        """Return the text a person sees of the first element that fits, "" where there is none."""
        return str(self.run("const n = document.querySelector(arguments[0]); return n ? n.innerText : ''", selector))

    def click(self, selector: str) -> None:
        """Click the first element that fits, as a person would."""
        node = self.command("POST", "element", {"using": "css selector", "value": selector})
        self.command("POST", f"element/{node[ELEMENT]}/click", {})

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        node = self.command("POST", "element", {"using": "css selector", "value": selector})
        self.command("POST", f"element/{node[ELEMENT]}/value", {"text": text})

    def log(self) -> list[str]:
        """Return what the browser has logged since the last call: script errors, failed loads, policy violations."""
        entries = self.command("POST", "se/log", {"type": "browser"})
        return [f"{entry['level']} {entry['source']}: {entry['message']}" for entry in entries]

    def set_size(self, width: int, height: int, *, ratio: float = 1.0, mobile: bool = False) -> None:
        """Give the page exactly so many CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": mobile}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)

    def devtools(self, command: str, parameters: dict[str, Any] | None = None) -> Any:
        """Do one command of Chromium's own protocol."""
        return self.command("POST", "goog/cdp/execute", {"cmd": command, "params": parameters or {}})

    def shot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.command("GET", "screenshot")))

    def forget_cookies(self) -> None:
        """Delete every cookie."""
        self.devtools("Network.clearBrowserCookies")

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(BrowserError, httpx.HTTPError):
            self.command("DELETE", "")


@contextlib.contextmanager
def browser(width: int = 1280, height: int = 800) -> Iterator[Browser]:
    """Start a headless Chromium without a network beyond this machine and end it with everything it started."""
    driver, program = _found("FATHOM_CHROMEDRIVER", DRIVERS), _found("FATHOM_CHROMIUM", BROWSERS)
    assert driver is not None
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="fathom-chromium-", ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment(home)
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{_port(process)}", timeout=60.0, trust_env=False) as http:
                window = Browser(http, _capabilities(program, home, width, height))
                try:
                    window.set_size(width, height)
                    yield window
                finally:
                    window.close()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _environment(home: str) -> dict[str, str]:
    return {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}


def _port(process: subprocess.Popen[str]) -> int:
    """Return the port chromedriver says it took."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found.group(1))
    raise BrowserError("chromedriver ended at once")


def _capabilities(program: str, home: str, width: int, height: int) -> dict[str, Any]:
    arguments = [
        "--headless=new",
        "--no-sandbox",  # containers have no user namespaces; only this machine's own pages are opened
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1 , EXCLUDE *.localhost",
        f"--user-data-dir={home}/profile",
        f"--window-size={width},{height}",
    ]
    return {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": program, "args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
