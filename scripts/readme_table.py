"""Write the README's table of results from results/metrics.json: python scripts/readme_table.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START, END = "<!-- results: scripts/readme_table.py -->", "<!-- end of results -->"


def table(metrics: dict[str, Any]) -> str:
    """Return the methods as a Markdown table, best on the held-out photographs first."""
    rows = {"noisy input": metrics["identity"], **metrics["baselines"], **metrics["trials"]}
    champion = metrics["champion"]["trial"]
    lines = [
        "| method | photographs, PSNR | SSIM | test patches, PSNR | validation, PSNR |",
        "|---|---|---|---|---|",
    ]
    for name, values in sorted(rows.items(), key=lambda row: -float(row[1]["photograph_psnr"])):
        shown = f"**{name}** (champion)" if name == champion else name
        decibel = (f"{values[key]:.2f} dB" for key in ("photograph_psnr", "test_psnr", "val_psnr"))
        photographs, patches, validation = decibel
        ssim = f"{values['photograph_ssim']:.3f}"
        lines.append(f"| {shown} | {photographs} | {ssim} | {patches} | {validation} |")
    return "\n".join(lines)


def update(readme: str, metrics: dict[str, Any]) -> str:
    """Return the README's text with the table in its place."""
    before, rest = readme.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table(metrics)}\n\n{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    metrics = json.loads((ROOT / "results" / "metrics.json").read_text(encoding="utf-8"))
    path.write_text(update(path.read_text(encoding="utf-8"), metrics), encoding="utf-8")
