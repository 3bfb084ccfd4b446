"""Print the P-IS of an NPZ file (or a pattern of files) with clouds (n, points, 3) in `arr_0`."""

from __future__ import annotations

import argparse
import sys

from enpointe.core.errors import EnpointeError
from point_e.evals.feature_extractor import PointNetClassifier, get_torch_devices
from point_e.evals.fid_is import compute_inception_score
from point_e.evals.npz_stream import NpzStreamer


def main() -> None:
    """Read the command line, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache_dir", help="the folder of pointnet.pt (default: point_e_model_cache)")
    parser.add_argument("batch")
    args = parser.parse_args()
    try:
        stream = NpzStreamer(args.batch)
        print("creating classifier...")
        classifier = PointNetClassifier(devices=get_torch_devices(), cache_dir=args.cache_dir)
        print("computing batch predictions")
        _, probabilities = classifier.features_and_preds(stream)
        print(f"P-IS: {compute_inception_score(probabilities)}")
    except EnpointeError as error:
        print(f"evaluate_pis: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
