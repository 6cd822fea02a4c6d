"""Which variant of an endpoint answers a caller: always the same one, while the weights stay."""

from collections.abc import Mapping

from treering.steps.hashing import unit_position


def variant_for(caller: str, weights: Mapping[str, float]) -> str:
    """The variant that answers the caller with this key, in proportion to the weights (variant → weight, not negative).

    The hash of the key falls into one of the shares, laid end to end in the order of the variants' names; so of two
    variants, one whose weight grows keeps all callers that it had. Raises ValueError where no weight is above 0.
    """
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError(f"weights must not be negative, and one must be above 0, got {dict(weights)}")
    position, end = unit_position(f"variant\0{caller}"), 0.0
    chosen = [name for name in sorted(weights) if weights[name] > 0]
    for name in chosen[:-1]:
        end += weights[name] / total
        if position < end:
            return name
    return chosen[-1]
