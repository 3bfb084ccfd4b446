"""The release's names for `enpointe.evaluation`."""
