"""How fast a report opens in headless Chromium: until its viewer is ready, to filter, and to scroll.

    python benchmarks/report_page.py logs/default/report/report.html

Needs `pip install -e ".[dev]"` and a Chromium on the path (or named in CHROMIUM).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

MEASURED = ("ready", "filter", "longest frame while scrolling")
READY = "performance.getEntriesByName('affine-ready')[0].startTime"
FILTER = """() => {
  const began = performance.now(), box = document.getElementById("f-outcome");
  box.value = box.value === "0" ? "1" : "0";
  box.dispatchEvent(new Event("input", { bubbles: true }));
  return performance.now() - began;
}"""
# The longest gap between two frames while the list is scrolled from its top to its end in 60 steps.
SCROLL = """() => new Promise((resolve) => {
  const list = document.getElementById("list"), end = list.scrollHeight;
  let step = 0, last = performance.now(), longest = 0;
  const frame = (now) => {
    longest = Math.max(longest, now - last);
    last = now;
    list.scrollTop = (end * ++step) / 60;
    step < 60 ? requestAnimationFrame(frame) : resolve(longest);
  };
  requestAnimationFrame(frame);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description="how fast a report opens in headless Chromium")
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times = [measure(browser, wanted.page) for _ in range(wanted.repeats)]
        browser.close()
    print(f"{wanted.page}: {wanted.page.stat().st_size / 1e6:.2f} MB, median and worst of {wanted.repeats}")
    for name, values in zip(
        ("ready", "filter", "longest frame while scrolling"), zip(*times, strict=True), strict=True
    ):
        print(f"  {name}: {statistics.median(values):.0f} ms, {max(values):.0f} ms")


def measure(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Milliseconds until the viewer is ready, of a filter, and of the worst frame."""
    page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("#episodes[data-ready]")
    found = (page.evaluate(READY), page.evaluate(FILTER), page.evaluate(SCROLL))
    page.close()
    return found


if __name__ == "__main__":
    main()
