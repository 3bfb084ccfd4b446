"""The release's two scripts, as `python -m point_e.evals.scripts.NAME`."""
