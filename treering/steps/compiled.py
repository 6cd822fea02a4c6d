"""A preprocessing and its forest as one compiled model, which reads request bodies itself (treering_native).

It answers what is plain and right. For anything else it gives nothing, and `treering.steps.payload` and
`Preprocessing.transform` read the body: their rules are the ones that count, here they are only quicker.
"""

from treering_native import Column, Computed, Model

from treering.steps.forest import Forest
from treering.steps.preprocessing import Feature, Preprocessing


def compile_model(preprocessing: Preprocessing, forest: Forest) -> Model:
    """The model for C. `forest` takes the features of `preprocessing`, as an artefact that was loaded has it."""
    numbers = _numbers(preprocessing.features)
    categories = {f.name: (place, f) for place, f in enumerate(preprocessing.features) if f.kind == "category"}
    columns, computed = [], []
    for name in preprocessing.raw_columns:
        number = numbers.get(name, -1)
        if name not in categories:
            columns.append(Column(name, number))
            continue
        place, category = categories[name]
        missing = category.codes.get(category.missing_level, category.unseen)
        columns.append(Column(name, number, place, category.codes, category.unseen, missing))
    for place, feature in enumerate(preprocessing.features):
        parts = [numbers[column] for column in feature.columns if feature.kind != "category"]
        if feature.kind == "number":
            computed.append(Computed(place, parts, is_sum=False, fill=feature.fill))
        elif feature.kind == "sum":
            computed.append(Computed(place, parts, is_sum=True))
    return Model(forest.trees, columns, computed, preprocessing.missing_tokens, log_scale=preprocessing.log_scale)


def _numbers(features: tuple[Feature, ...]) -> dict[str, int]:
    """Places of the raw columns that are read as numbers."""
    names = dict.fromkeys(column for feature in features if feature.kind != "category" for column in feature.columns)
    return {name: place for place, name in enumerate(names)}
