"""A program's environment variables as one typed object, checked before any work is done."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from treering.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def read_environment(model: type[M], environ: Mapping[str, str]) -> M:
    """Read `model` from `environ`: field `data_bucket` is the variable `DATA_BUCKET`.

    Raises ConfigurationError that names every missing and every wrong variable, so that one look is enough.
    """
    given = {field: environ[field.upper()] for field in model.model_fields if field.upper() in environ}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [str(p["loc"][0]).upper() for p in problems if p["type"] == "missing"]
    wrong = [f"{str(p['loc'][0]).upper()} ({p['msg']})" for p in problems if p["type"] != "missing"]
    sentences = []
    if missing:
        sentences.append(f"Environment variables are missing: {', '.join(missing)}.")
    if wrong:
        sentences.append(f"Environment variables are wrong: {', '.join(wrong)}.")
    raise ConfigurationError(" ".join([*sentences, "Set them where this program is defined, in template.yaml."]))
