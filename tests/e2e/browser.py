"""A real browser for tests: Chromium without a window, driven by its DevTools protocol over two pipes.

    with Browser() as browser:
        tab = browser.open("http://127.0.0.1:3001/")
        tab.ask("document.title")

Every name below .example leads to 127.0.0.1. What a page logs, throws or is forbidden (Content-Security-Policy) is kept in `tab.complaints`.
"""
import base64
import contextlib
import fcntl
import glob
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from run import Failure, Skipped, check

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
KEPT = ("~/.cache/ms-playwright/chromium*/chrome-linux*/chrome", "~/.cache/ms-playwright/chromium*/chrome-linux*/headless_shell")
PATIENCE = 60


def find():
    """The program: what BROWSER names, one in PATH, or one that playwright has installed."""
    kept = [path for pattern in KEPT for path in sorted(glob.glob(os.path.expanduser(pattern)))]
    for name in (os.environ.get("BROWSER"), *NAMES, *kept):
        if name and shutil.which(name):
            return shutil.which(name)
    raise Skipped("there is no Chromium (scripts/deps-browser.txt)")


class Browser:
    def __init__(self):
        program = find()
        self.folder = tempfile.mkdtemp()
        theirs, ours = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs[0], ours[1])]

        def place():
            for number, end in zip((3, 4), ends):
                os.dup2(end, number)
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--host-resolver-rules=MAP *.example 127.0.0.1", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={self.folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=place, pass_fds=(3, 4))
        for end in (theirs[0], ours[1], *ends):
            os.close(end)
        self.output, self.input = theirs[1], ours[0]
        self.pending, self.numbers, self.tabs = b"", itertools.count(1), {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Failure, OSError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.folder, ignore_errors=True)

    def receive(self, end):
        """The next message; None when there is none until `end`."""
        while b"\0" not in self.pending:
            if not select.select([self.input], [], [], max(0, end - time.monotonic()))[0]:
                return None
            data = os.read(self.input, 1 << 20)
            if not data:
                raise Failure("the browser ended")
            self.pending += data
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.output, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (answer := self.receive(end)) is not None:
            if answer.get("id") == number:
                check("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]
            if answer.get("sessionId") in self.tabs:
                self.tabs[answer["sessionId"]].hear(answer)
        raise Failure(f"the browser does not answer {method}")

    def open(self, url, width=1280, height=900):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.size(width, height)
        tab.call("Page.navigate", url=url)
        return tab


class Tab:
    def __init__(self, browser, session):
        self.browser, self.session, self.complaints, self.asked = browser, session, [], []

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def hear(self, message):
        params = message["params"]
        if message["method"] == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif message["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif message["method"] == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])

    def ask(self, expression):
        """The value of an expression, as JSON has it."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        check("exceptionDetails" not in result, f"{expression}: {result}")
        return result["result"].get("value")

    def until(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not (value := self.ask(expression)):
            check(time.monotonic() < end, f"{expression} comes true; the page says {self.ask('document.body.innerText')!r}")
            time.sleep(0.1)
        return value

    def texts(self, selector):
        return self.ask(f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.textContent)")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def picture(self, path):
        """Of the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
