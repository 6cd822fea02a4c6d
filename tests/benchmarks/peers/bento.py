"""The same as a BentoML service."""

import bentoml
from pipeline import load, read_csv


@bentoml.service(workers=2)
class Forest:
    """Answers CSV in JSON."""

    def __init__(self) -> None:
        self.model = load()

    @bentoml.api
    def invocations(self, rows: str) -> list[float]:
        """Predictions."""
        return self.model.predict(read_csv(rows)).tolist()
