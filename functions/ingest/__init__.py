"""Ingest: from the weekly event to a dataset version and one execution of the state machine."""
