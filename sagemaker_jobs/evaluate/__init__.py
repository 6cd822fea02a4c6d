"""Processing job: the new model against the one in service, on the same test split."""
