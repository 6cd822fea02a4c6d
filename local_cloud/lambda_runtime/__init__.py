"""Runs Lambda functions from container images as AWS does, without a container engine.

- ``function``: what of a function's configuration its execution needs
- ``variables``: the environment variables a function finds
- ``emulator``: AWS's Runtime Interface Emulator, the program that speaks the Runtime API to the function
- ``environment``: one execution environment, that is one sandbox with one emulator, one invocation at a time
- ``output``: what a function writes, line by line
- ``runtime``: invocations, each in a warm environment or a new one
- ``limits``: what AWS refuses when a function is created, changed or invoked
- ``states``: what a function that is being created or updated refuses, and what it runs meanwhile
- ``invocations``: what Invoke refuses, and the ID of a request
- ``logs``: the function's log group
- ``seam``: the one place where the emulator underneath is given all this

Unlike on AWS the time that a function takes to start counts towards its timeout, ``context.invoked_function_arn`` has
the emulator's own account, and no trace header reaches the function.
"""

from local_cloud.lambda_runtime.limits import FunctionRefusedError
from local_cloud.lambda_runtime.runtime import LambdaRuntime
from local_cloud.lambda_runtime.seam import install

__all__ = ["FunctionRefusedError", "LambdaRuntime", "install"]
