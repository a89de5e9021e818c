"""One thin module per DVC stage: reads params and paths, calls the library, writes the outputs.

The paths of the graph's files are named here and, since DVC must know them, in dvc.yaml.
"""

from pathlib import Path

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
CHECKSUMS = Path("data/checksums.json")
VALIDATED = Path("data/validated")
PREPARED = Path("data/prepared")
TRIALS = Path("data/trials")
EVALUATED = Path("data/evaluated")
RESULTS = Path("results")
DATA_DOCS = RESULTS / "validation"
METRICS = RESULTS / "metrics.json"
PLOTS = RESULTS / "plots"
FIGURES = RESULTS / "figures"
REPORT = RESULTS / "report.html"
REPORT_RECORD = RESULTS / "report.json"
REGISTRATION = RESULTS / "registration.json"
PROMOTIONS = RESULTS / "promotions.jsonl"
CHAMPION = RESULTS / "champion"
