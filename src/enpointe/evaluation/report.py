"""A run as one HTML file to look at, and as JSON."""

from __future__ import annotations

from pathlib import Path

from enpointe.evaluation.evaluate import Results
from enpointe.evaluation.generated import write_json
from enpointe.evaluation.samples import SampleSet


def save_report(results: Results, samples: SampleSet, folder: Path) -> Path:
    write_json(folder / "results.json", results.to_json())
    return folder / "report.html"
