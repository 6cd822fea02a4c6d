"""The programs of the SageMaker jobs and of the endpoint: a folder each, started as SageMaker starts them."""
