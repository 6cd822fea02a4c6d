"""moto's Amazon States Language engine, with this service's clients, waits and SageMaker tasks put into it.

Nothing outside this package imports moto. Importing it loads the engine (two thirds of a second), so the service
imports it when it is first used, or beforehand through `StepFunctionsService.start`.
"""
