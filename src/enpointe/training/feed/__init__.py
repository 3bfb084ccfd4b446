"""Where the batches of a run come from."""
