"""Faults on demand: what goes wrong on AWS once a year goes wrong here when somebody asks for it.

Off until a fault is armed, and then for what it matches only. The front door takes, on the cloud's own port,

- ``POST /_local_cloud/faults`` with a fault or a list of faults: arms them; the answer is ``{"armed": […]}``, each with
  its ``id``;
- ``GET /_local_cloud/faults``: ``{"armed": […], "spent": […]}``, each fault with ``hits`` (how often it struck) and,
  where it is limited, ``left``;
- ``DELETE /_local_cloud/faults``: disarms all and forgets the spent ones; the answer is ``{"cleared": number}``.

``treering fault add|list|clear`` does the same from the command line. A fault that makes no sense is refused with
status 400 and ``{"error": what is allowed}``; then none of the list is armed. Faults live in the cloud's process: a
cloud that is started again has none. A fault is

    {"kind": …, "times": 1, …fields of the kind…}

``times`` is how often it strikes, null for ever; where several match, the oldest strikes. ``name``, ``service`` and
``action`` are patterns as a shell knows them (``*-train-*``), upper and lower case are different.

==============  =======================================================================================================
kind            fields (default), what happens
==============  =======================================================================================================
api_error       ``service`` ("*"), ``action`` ("*"), ``match`` (""), ``code`` (the service's InternalFailure),
                ``status`` (500, with a ``code`` 400), ``message``, ``after`` (false). A call of ``action`` (the API's
                own name, such as ``PutObject``) of ``service`` (boto3's name, or the one in AWS's host names: ``s3``,
                ``stepfunctions`` or ``states``, ``sagemaker``, which includes ``sagemaker-runtime``, …) whose path,
                query or body contains ``match`` gets that error, and nothing happens. With ``after`` it takes effect,
                then the connection is closed in the middle of the answer; ``code``, ``status`` and ``message`` are not
                allowed then.
api_delay       ``service``, ``action``, ``match``, ``seconds``. The call is passed on that much later.
deliver_twice   ``name`` of the function ("*"), ``seconds`` (0). An asynchronous event is delivered twice, at the same
                moment or so much apart, with one request ID.
capacity        ``name`` of the job or endpoint ("*"), ``target`` ("job" or "endpoint", both if left out). A job fails
                with SageMaker's CapacityError before anything starts; an endpoint's creation or update fails.
kill            ``target`` ("function", "job", "endpoint"), ``name`` ("*"), ``when`` ("start"), and for an endpoint
                ``config``, ``variant`` ("*"). SIGKILL to all processes of the container. A job fails with exit code
                137, a function with Runtime.ExitError, an endpoint's container is started again, or fails its
                deployment where it was not healthy yet.
instance_lost   ``name`` of the job ("*"), ``when`` ("start"). As ``kill``, but the job fails with SageMaker's
                InternalServerError, and nothing of it is uploaded.
memory          ``megabytes``, ``target`` ("job" or "function", default "job"), ``name`` ("*"). What needs more is
                killed as by the kernel (the largest process, SIGKILL); a job that ends by it with exit code 137 has
                SageMaker's advice to take a larger instance as its reason. Counts runs with that limit.
volume          ``megabytes``, ``target`` ("job" or "function", default "job"), ``name`` ("*"). ``/opt/ml`` of the job,
                ``/tmp`` of the function, holds that much: writing more fails with ENOSPC, and a job whose inputs are
                larger fails before it starts. Counts runs with that limit. Not where a container engine runs them.
ping            ``name`` of the endpoint ("*"), ``config``, ``variant`` ("*"), ``status`` (503, or "stall": no answer in
                time), ``during`` ("start": of a container that is to get into service; "service": of one that is),
                ``give_up_seconds`` (AWS's: 8 minutes). So many health checks (``times``) fail, whatever the container
                answers; a deployment that meets one gives up after ``give_up_seconds`` without a healthy answer, a
                container in service is started again.
answer          ``name`` of the endpoint ("*"), ``config``, ``variant`` ("*"), ``status`` (200), ``body``,
                ``content_type``, ``seconds`` (0). An invocation gets this answer, so much later, and the container is
                not asked; with ``seconds`` alone the container's own answer comes later. From 60 seconds on SageMaker's
                time is over.
==============  =======================================================================================================

``config`` and ``variant`` are patterns, too: of the endpoint configuration and the variant whose containers are meant,
so that in an update only the new model is slow, or only the challenger of a test crashes.

``when`` is "start" (the program runs), "end" (it has ended by itself; its outputs are not uploaded, its answer is not
given yet; not for an endpoint), {"after_seconds": 1.5} or {"when_log_says": "text"}, of what the program itself writes.
It counts as struck when it really does: a fault that waits for a text that never comes stays armed. A program that ends
by itself just when it was due to be killed counts as killed, so that no chance decides. A fault is for the jobs,
containers and invocations that begin after it was armed.

What calls of AWS can be hit: every one that passes the port, whoever makes it (the functions, the jobs, the tasks of
the state machine, the downloads, uploads and logs of jobs). Not those that services of AWS make among themselves
(EventBridge to Lambda, SNS to SQS, a function's own log). An SDK tries again by itself what it takes for a passing
failure: status 500, 502, 503 and 504, throttling, lost connections (boto3, unless its client is told otherwise: four
more times, https://docs.aws.amazon.com/boto3/latest/guide/retries.html; the transfers of jobs: three more times; tasks
of the state machine: never, their retries are the definition's). Arm as many ``times`` as tries are to fail.
"""

from local_cloud.faults.base import Fault, FaultRefusedError, Moment
from local_cloud.faults.models import (
    Answer,
    ApiDelay,
    ApiError,
    Capacity,
    DeliverTwice,
    InstanceLost,
    Kill,
    Memory,
    Ping,
    Volume,
)
from local_cloud.faults.plan import Armed, FaultPlan

__all__ = [
    "Answer",
    "ApiDelay",
    "ApiError",
    "Armed",
    "Capacity",
    "DeliverTwice",
    "Fault",
    "FaultPlan",
    "FaultRefusedError",
    "InstanceLost",
    "Kill",
    "Memory",
    "Moment",
    "Ping",
    "Volume",
]
