"""The numbers that a model takes: one limit for what ingestion lets pass, what jobs learn from, and requests.

Without numpy, as ingestion has none.
"""

# The largest of single precision (IEEE 754), in which the forest compares, as scikit-learn's does.
LARGEST_NUMBER = float.fromhex("0x1.fffffep+127")
