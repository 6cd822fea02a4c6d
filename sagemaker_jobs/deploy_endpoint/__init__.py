"""Processing job: artefact to an endpoint in service."""
