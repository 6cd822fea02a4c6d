"""The classic container: flask on gunicorn, behind nginx, as SageMaker's examples have it."""

import flask
from pipeline import load, read_csv

model = load()
app = flask.Flask(__name__)


@app.get("/ping")
def ping() -> flask.Response:
    """Healthy."""
    return flask.Response(status=200)


@app.post("/invocations")
def invocations() -> flask.Response:
    """Predictions for CSV."""
    if flask.request.content_type != "text/csv":
        return flask.Response("only text/csv is supported", 415)
    predictions = model.predict(read_csv(flask.request.get_data(as_text=True)))
    return flask.jsonify(predictions=predictions.tolist())
