"""Values that S3, EventBridge, CloudWatch, SQS and SNS refuse and the emulator takes: by their APIs and in templates.

Each module is one service's. The API is checked where the emulator handles a request (``install``; SNS in its handler,
``topics.guard_topics``), a template by the handlers of ``cloudformation``, which call the same functions.
"""
