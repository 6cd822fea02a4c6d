"""Processing job: the live endpoint against the test split."""
