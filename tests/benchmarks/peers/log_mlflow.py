"""Stores the pipeline as a model of MLflow: `log_mlflow.py <folder>`."""

import sys

import mlflow.pyfunc
from pipeline import load


class Model(mlflow.pyfunc.PythonModel):
    """Takes the data frame that the server made of the request."""

    def __init__(self, pipeline: object) -> None:
        self.pipeline = pipeline

    def predict(self, context, model_input, params=None):
        """Predictions."""
        return self.pipeline.predict(model_input.astype(object))


mlflow.pyfunc.save_model(sys.argv[1], python_model=Model(load()))
