"""The release's own way against ours, stage by stage: what `enpointe bench` measures, as a file.

On the weights of the cache, or random ones of the true sizes. Without --full our totals are counted up from single
evaluations as the release's always are.
"""

from __future__ import annotations

from benchmarks.common import Report, Row, arguments
from enpointe.cli.bench import STAGES, measure
from enpointe.core.device import keep_freed_memory
from enpointe.evaluation.speed import Turns


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="*", default=["base40M-textvec", "base40M"], metavar="NAME")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--evaluations", type=int, default=2, metavar="K", help="of each, of which the fastest counts")
    parser.add_argument("--full", action="store_true", help="also run our stages wholly")
    options = parser.parse_args()
    report = Report("released", options)
    keep_freed_memory()
    stages, models, k = (["mesh"], [], 1) if options.quick else (options.stages, options.models, options.evaluations)
    turns = Turns(k)
    rows, totals, queries = measure(models, stages, turns, full=options.full, grid_size=32 if options.quick else 128)
    flat: list[Row] = [
        {
            "for": row["for"],
            "stage": row["stage"],
            "way": way,
            "s each": row[way]["seconds_each"],
            "times": row[way]["units"],
            "s": row[way]["seconds"],
            "s run": row["ran"] if way == "ours" else None,
            "GFLOP/s": row[way]["gflops"],
            "of peak": row[way]["of_peak"],
            "faster": row["times"] if way == "ours" else None,
            "random weights": row["random_weights"],
        }
        for row in rows
        for way in ("reference", "ours")
    ]
    report.table("a unit is an evaluation, a guided pair where there is guidance, or a batch of queries", flat)
    report.table("fastest products of matrices", [{"type": name, "GFLOP/s": peak} for name, peak in turns.peak.items()])
    if queries:
        rows = [{"field": name, "queries": count} for name, count in queries.items()]
        report.table("queries of an interpolated grid", rows)
    report.table("totals", totals)
    for total in totals:
        if total["target"]:
            report.target(total["what"], total["times"], total["target"], "times faster", at_least=True)
    report.save()


if __name__ == "__main__":
    main()
