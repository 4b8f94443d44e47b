"""Takes the pictures of the pages that the README shows, on invented calls.

    python .ci/screenshots.py [--all FOLDER]

Makes a database with ``demo-data``, serves it, and looks at it with Chromium at 1280 pixels (and,
with ``--all``, every page at 1280 and at 400 into FOLDER, to be looked at by a person).
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

SHOWN = Path(__file__).parents[1] / "samples" / "pages"
SIZES = {1280: 860, 400: 800}
# Who looks at what; CALL is a call with much to see.
VIEWS = {
    "queue": ("rita", "/queue"),
    "call": ("rita", "/calls/CALL"),
    "calls": ("rita", "/calls"),
    "agreement": ("rita", "/agreement"),
    "agents": ("cora", "/agents"),
    "report": ("cora", "/agents/agent-01"),
    "disputes": ("cora", "/disputes"),
    "own": ("agnes", "/me"),
    "alerts": ("sam", "/alerts"),
    "team": ("sam", "/team"),
    "users": ("ada", "/admin/users"),
    "log": ("ada", "/admin/log"),
    "holds": ("ada", "/admin/holds"),
    "system": ("ada", "/admin/system"),
    "account": ("rita", "/account"),
}
IN_README = ("call", "queue", "report", "alerts", "team", "own")


@contextmanager
def served_demo(folder: Path, password: str) -> Iterator[str]:
    """The address of the pages on a fresh database of invented calls."""
    config = folder / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{folder}"\n', encoding="utf-8")
    command = [sys.executable, "-m", "qa_monitor", "--config", str(config)]
    environment = os.environ | {"QA_MONITOR_DEMO_PASSWORD": password}
    subprocess.run(
        [*command, "demo-data", "--users"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    program = subprocess.Popen(
        [*command, "serve", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert program.stderr is not None
    try:
        for line in program.stderr:
            if found := re.search(r"https?://\S+", line):
                yield found[0]
                break
    finally:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=30)


def signed_in(browser: Browser, address: str, user: str, password: str, width: int) -> Page:
    """A page of ``user``."""
    page = browser.new_context(viewport={"width": width, "height": SIZES[width]}).new_page()
    page.goto(f"{address}/sign-in")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()
    return page


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", type=Path, help="Every page at both sizes, into this folder.")
    parser.add_argument("--only", nargs="*", choices=sorted(VIEWS), help="These pages.")
    options = parser.parse_args()
    password = secrets.token_urlsafe(12)
    wanted = options.only or (list(VIEWS) if options.all else IN_README)
    folder_out: Path = options.all or SHOWN
    folder_out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        served_demo(Path(folder), password) as address,
        sync_playwright() as playwright,
    ):
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for width in SIZES if options.all else (1280,):
            pages: dict[str, Page] = {}
            for name in wanted:
                user, path = VIEWS[name]
                if user not in pages:
                    pages[user] = signed_in(browser, address, user, password, width)
                page = pages[user]
                if "CALL" in path:
                    # An urgent one with a sound has the most to show.
                    page.goto(f"{address}/calls?urgency=3&sort=newest")
                    link = page.locator("main a[href^='/calls/']").first.get_attribute("href")
                    path = link or path
                page.goto(address + path)
                page.wait_for_timeout(700)
                suffix = f"-{width}" if options.all else ""
                out = folder_out / f"{name}{suffix}.png"
                page.screenshot(path=out, full_page=bool(options.all))
        browser.close()


if __name__ == "__main__":
    main()
