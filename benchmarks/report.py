"""How large the report of a large study is, and how long a browser takes to open it.

The study is of nothing measured, see tests/report/materials.py; the page is made as the stage makes it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.common import table
from degrain.studies import gallery
from tests.conftest import ROOT
from tests.report.materials import Draft

# In milliseconds since the page was asked for: every script has run; everything is loaded.
TIMES = """
const [page] = performance.getEntriesByType("navigation");
return [page.domContentLoadedEventEnd, page.loadEventEnd];
"""


def run(trials: int = 300, photographs: int = 40, rounds: int = 5) -> None:
    from selenium import webdriver

    study = gallery.compose("quickstart", ROOT / "conf")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    driver = shutil.which("chromedriver")  # without one, Selenium downloads it
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    with tempfile.TemporaryDirectory() as folder:
        page, began = Path(folder) / "report.html", time.perf_counter()
        draft = Draft(Path(folder), study, trials, photographs=photographs, size=(512, 512), patch=64, strips=6)
        page.write_text(replace(draft, epochs=100, images=1000).report())
        made = time.perf_counter() - began
        found = []
        for _ in range(rounds):  # each in a browser of its own: nothing is cached
            browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
            try:
                browser.get(page.as_uri())
                found.append(browser.execute_script(TIMES))
            finally:
                browser.quit()
        size = page.stat().st_size / 1e6
    ready, loaded = (
        f"{median(times) / 1000:.2f} ({min(times) / 1000:.2f} to {max(times) / 1000:.2f})"
        for times in zip(*found, strict=True)
    )
    print("Seconds are median (least to most).\n")
    heads = ("trials", "photographs", "size, MB", "made, s", "usable, s", "loaded, s")
    table(heads, [(trials, photographs, f"{size:.1f}", f"{made:.0f}", ready, loaded)])
