"""Training job: the best of several regressors and their settings, found by a time-boxed search."""
