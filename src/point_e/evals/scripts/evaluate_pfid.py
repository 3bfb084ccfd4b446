"""Print the P-FID between two NPZ files (or patterns of files) with clouds (n, points, 3) in `arr_0`."""

from __future__ import annotations

import argparse
import sys

from enpointe.core.errors import EnpointeError
from point_e.evals.feature_extractor import PointNetClassifier, get_torch_devices
from point_e.evals.fid_is import compute_statistics
from point_e.evals.npz_stream import NpzStreamer


def main() -> None:
    """Read the command line, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache_dir", help="the folder of pointnet.pt (default: point_e_model_cache)")
    parser.add_argument("batch_1")
    parser.add_argument("batch_2")
    args = parser.parse_args()
    try:
        streams = [NpzStreamer(args.batch_1), NpzStreamer(args.batch_2)]
        print("creating classifier...")
        classifier = PointNetClassifier(devices=get_torch_devices(), cache_dir=args.cache_dir)
        statistics = []
        for which, stream in zip(("first", "second"), streams, strict=True):
            print(f"computing {which} batch activations")
            statistics.append(compute_statistics(classifier.features_and_preds(stream)[0]))
        print(f"P-FID: {statistics[0].frechet_distance(statistics[1])}")
    except EnpointeError as error:
        print(f"evaluate_pfid: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
