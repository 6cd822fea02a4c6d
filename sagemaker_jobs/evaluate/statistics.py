"""The test errors in the form that SageMaker's model registry shows.

SageMaker developer guide, "Model quality metrics and Amazon CloudWatch monitoring": a regression's metrics are
`regression_metrics.{mae,mse,rmse,r2}`, each with `value` and `standard_deviation`.
"""

import json

from treering.contracts import RegressionMetrics


def model_quality(test: RegressionMetrics) -> str:
    """`statistics.json`, for ModelMetrics.ModelQuality of a model package; rmse, mae in the target's unit."""
    values = {"mae": test.mae, "mse": test.rmse**2, "rmse": test.rmse, "r2": test.r2}
    if test.rmse_log is not None:
        values["rmse_log"] = test.rmse_log
    metrics = {name: {"value": value, "standard_deviation": "NaN"} for name, value in values.items()}
    return json.dumps({"regression_metrics": metrics}, indent=2) + "\n"
