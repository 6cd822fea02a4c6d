"""Functions in AWS's Runtime Interface Emulator, as callers of the runtime see them."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local_cloud.images import ImageRegistry
from local_cloud.lambda_runtime import LambdaRuntime

HANDLER = """
import multiprocessing, os, pathlib, sys, time

calls = 0

def answer(event, context):
    global calls
    calls += 1
    print("called with", sorted(event))
    return {"calls": calls, "pid_namespace": os.readlink("/proc/self/ns/pid"), "request": context.aws_request_id}

def fail(event, context):
    raise ValueError(f"no {event['what']}")

def look_like_an_error(event, context):
    return {"errorMessage": "mine", "errorType": "Mine"}

def sleep(event, context):
    print("sleeping", flush=True)
    time.sleep(event["seconds"])
    return "awake"

def leave(event, context):
    os._exit(3)

def use_memory(event, context):
    held = bytearray(event["mb"] * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(event.get("seconds", 0))
    return len(held)

def write(event, context):
    path = pathlib.Path(event["path"]).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * event.get("bytes", 1))
    return path.stat().st_size

def lock(event, context):
    multiprocessing.Lock()

def pool(event, context):
    multiprocessing.Pool(1)

def queue(event, context):
    multiprocessing.Queue()

def pipe(event, context):
    here, there = multiprocessing.Pipe()
    child = multiprocessing.Process(target=there.send, args=("hello",))
    child.start()
    return here.recv()

def count_down(event, context):
    while True:
        print("remaining", context.get_remaining_time_in_millis(), flush=True)
        time.sleep(0.05)

def remaining(event, context):
    before = context.get_remaining_time_in_millis()
    time.sleep(event["seconds"])
    return [before, context.get_remaining_time_in_millis()]

def remember(event, context):
    found = os.path.exists("/tmp/mark")
    pathlib.Path("/tmp/mark").touch()
    return found

def environment(event, context):
    return dict(os.environ)

def describe(event, context):
    return {"memory": context.memory_limit_in_mb, "name": context.function_name, "stream": context.log_stream_name,
            "group": context.log_group_name, "remaining": context.get_remaining_time_in_millis()}

def import_pytest(event, context):
    import pytest

def large(event, context):
    return "x" * event["bytes"]
"""

DOCKERFILE = """
ARG BASE_IMAGE=public.ecr.aws/lambda/python:3.12
FROM ${BASE_IMAGE}
ENV FROM_IMAGE=yes OVERRIDDEN=image
COPY handlers.py broken.py ./
"""

Invoke = Callable[..., dict[str, Any]]


def credentials_for(config: Any) -> dict[str, str]:
    """Credentials that show whose they are."""
    return {"AWS_ACCESS_KEY_ID": "ASIAX", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": f"t-{config['Role']}"}


class Logs:
    """Remembers what is written to which stream."""

    def __init__(self) -> None:
        self.streams: dict[str, list[str]] = {}

    def write(self, function: Any, stream: str, lines: Any, access_key_id: str) -> None:
        """Take lines as CloudWatch does."""
        self.streams.setdefault(stream, []).extend(line.text for line in lines)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ImageRegistry:
    """A registry with the image `handlers`."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "handlers.py").write_text(HANDLER)
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    registry = ImageRegistry(tmp_path_factory.mktemp("state"))
    registry.build("handlers", dockerfile=folder / "Dockerfile", context=folder)
    return registry


@pytest.fixture(scope="module")
def logs() -> Logs:
    """What the runtime under test logs."""
    return Logs()


@pytest.fixture(scope="module")
def runtime(registry: ImageRegistry, logs: Logs) -> Iterator[LambdaRuntime]:
    """A runtime, shared so that warm environments are, too."""
    runtime = LambdaRuntime(
        registry, endpoint_url="http://127.0.0.1:4566", credentials_for=credentials_for, write_logs=logs.write
    )
    yield runtime
    runtime.close()


def config(registry: ImageRegistry, handler: str, **changes: Any) -> dict[str, Any]:
    """A function's configuration."""
    name = f"function-{handler.replace('.', '-')}"
    return {
        "FunctionName": name,
        "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
        "Role": "arn:aws:iam::000000000000:role/function",
        "ImageUri": registry.resolve("000000000000.dkr.ecr.us-east-1.amazonaws.com/handlers:latest").uri,
        "ImageConfigResponse": {"ImageConfig": {"Command": [handler]}},
        "Timeout": 10,
        "MemorySize": 256,
        "RevisionId": "1",
    } | changes


@pytest.fixture(scope="module")
def invoke(registry: ImageRegistry, runtime: LambdaRuntime) -> Invoke:
    """Invoke a handler of the module `handlers`."""

    def call(handler: str, event: object = None, **changes: Any) -> dict[str, Any]:
        return runtime.invoke(config(registry, f"handlers.{handler}", **changes), event or {}, str(uuid.uuid4()))

    return call


def test_answers_what_the_handler_returns(registry: ImageRegistry, runtime: LambdaRuntime) -> None:
    """The payload is the handler's return value, under the request ID that the caller chose; nothing says error."""
    request_id = str(uuid.uuid4())

    result = runtime.invoke(config(registry, "handlers.answer"), {"b": 1, "a": 2}, request_id)

    assert result["body"]["request"] == request_id
    assert "error" not in result


def test_second_invocation_is_warm(invoke: Invoke) -> None:
    """A second invocation runs in the same environment and finds the module's state of the first."""
    first, second = (invoke("answer", RevisionId="warm")["body"] for _ in range(2))

    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid_namespace"] == second["pid_namespace"]


def test_concurrent_invocations_have_their_own_environments(invoke: Invoke) -> None:
    """Two invocations at once run at once, each in an environment of its own."""
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(invoke, "sleep", {"seconds": 0.5}, RevisionId="both") for _ in range(2)]
        results = [future.result() for future in futures]
    streams = {result["log"].splitlines()[0] for result in results}

    assert [result["body"] for result in results] == ["awake", "awake"]
    assert len(streams) == 2


def test_update_gives_a_new_environment(invoke: Invoke) -> None:
    """After a change of code or configuration no environment of before it is used."""
    before = invoke("answer", RevisionId="before")["body"]
    after = invoke("answer", RevisionId="after")["body"]

    assert after["calls"] == 1
    assert after["pid_namespace"] != before["pid_namespace"]


def test_retired_function_starts_anew(invoke: Invoke, runtime: LambdaRuntime) -> None:
    """A function that was deleted and made again finds nothing of its former environment."""
    invoke("answer", RevisionId="same")
    runtime.retire("function-handlers-answer")

    assert invoke("answer", RevisionId="same")["body"]["calls"] == 1


def test_exception_becomes_an_unhandled_error(invoke: Invoke) -> None:
    """An exception is a function error with type, message and stack trace; the environment stays."""
    result = invoke("fail", {"what": "data"})
    body = result["body"]

    assert (result["error"], result["function_error"]) == (True, "Unhandled")
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "no data")
    assert "/var/task/handlers.py" in body["stackTrace"][-1]
    assert "[ERROR] ValueError: no data" in result["log"]


def test_returning_something_like_an_error_is_no_error(invoke: Invoke) -> None:
    """A handler may return a document with errorType and errorMessage."""
    assert "error" not in invoke("look_like_an_error")


def test_timeout_is_worded_as_aws_words_it(invoke: Invoke) -> None:
    """Past its timeout a function is stopped: error, log line, and a new environment for the next invocation."""
    result = invoke("sleep", {"seconds": 30}, Timeout=3)
    again = invoke("sleep", {"seconds": 0}, Timeout=3)

    assert result["body"]["errorType"] == "Sandbox.Timedout"
    assert result["body"]["errorMessage"].endswith("Error: Task timed out after 3.00 seconds")
    assert "sleeping" in result["log"]
    assert "Task timed out after 3.00 seconds" in result["log"]
    assert result["log"].endswith("\tStatus: timeout")
    assert again["body"] == "awake"


def test_exit_of_the_runtime_is_an_error(invoke: Invoke) -> None:
    """A function that ends its process fails the invocation; the next one has a new environment."""
    result = invoke("leave")

    assert result["body"]["errorType"] == "Runtime.ExitError"
    assert result["body"]["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert result["log"].endswith("\tStatus: error\tError Type: Runtime.ExitError")


def test_too_much_memory_kills_the_function(invoke: Invoke) -> None:
    """A function that exceeds its memory size is killed as on AWS, not told so by a MemoryError."""
    result = invoke("use_memory", {"mb": 400, "seconds": 5}, MemorySize=128)

    assert result["body"]["errorType"] == "Runtime.ExitError"
    assert result["body"]["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert result["log"].endswith(
        "Memory Size: 128 MB\tMax Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory"
    )


def test_memory_within_the_size_is_reported(invoke: Invoke) -> None:
    """A function may use its memory size, and its report says how much it used."""
    result = invoke("use_memory", {"mb": 100, "seconds": 0.3}, MemorySize=256)
    used = int(result["log"].rpartition("Max Memory Used: ")[2].split()[0])

    assert result["body"] == 100 * 1024 * 1024
    assert 100 <= used < 256


@pytest.mark.parametrize("path", ["/var/task/new", "/home/sbx_user1051/x", "~/x", "/usr/x", "/opt/x", "/dev/x"])
def test_only_tmp_can_be_written_to(invoke: Invoke, path: str) -> None:
    """A write outside of /tmp fails as on a read-only file system."""
    body = invoke("write", {"path": path})["body"]

    assert body["errorType"] in ("OSError", "FileNotFoundError", "PermissionError")
    assert "Read-only file system" in body["errorMessage"]


def test_tmp_is_as_large_as_ephemeral_storage(invoke: Invoke) -> None:
    """The temporary folder takes what EphemeralStorage says, and no more."""
    size = {"EphemeralStorage": {"Size": 512}}
    fits = invoke("write", {"path": "/tmp/x", "bytes": 100 << 20}, **size)  # noqa: S108
    full = invoke("write", {"path": "/tmp/y", "bytes": 600 << 20}, MemorySize=2048, **size)  # noqa: S108

    assert fits["body"] == 100 << 20
    assert "No space left on device" in full["body"]["errorMessage"]


@pytest.mark.parametrize("handler", ["lock", "pool", "queue"])
def test_multiprocessing_needs_shared_memory(invoke: Invoke, handler: str) -> None:
    """Locks, pools and queues fail with an OSError for want of /dev/shm.

    Which one depends on the image's C library, here as on AWS: ENOSYS up to glibc 2.32 (Amazon Linux 2), since then
    ENOENT (https://github.com/PyGithub/PyGithub/issues/2430, https://github.com/wandb/weave/issues/4835).
    """
    body = invoke(handler)["body"]

    assert (body["errorType"], body["errorMessage"]) in (
        ("OSError", "[Errno 38] Function not implemented"),
        ("FileNotFoundError", "[Errno 2] No such file or directory"),
    )


def test_pipes_and_processes_work(invoke: Invoke) -> None:
    """What multiprocessing can do without semaphores works, as on AWS."""
    assert invoke("pipe")["body"] == "hello"


def test_tmp_stays_as_long_as_the_environment(invoke: Invoke) -> None:
    """A warm function finds what it left in /tmp; one of another configuration finds an empty folder."""
    first, second = (invoke("remember", RevisionId="one")["body"] for _ in range(2))

    assert (first, second) == (False, True)
    assert invoke("remember", RevisionId="two")["body"] is False


def test_remaining_time_is_the_time_that_remains(invoke: Invoke) -> None:
    """get_remaining_time_in_millis falls from the timeout to nothing, which is when the function is stopped."""
    invoke("remaining", {"seconds": 0}, Timeout=5)
    before, after = invoke("remaining", {"seconds": 0.5}, Timeout=5)["body"]
    log = invoke("count_down", Timeout=3)["log"]
    counted = [int(line.split()[1]) for line in log.splitlines() if line.startswith("remaining")]

    assert 4000 < before <= 5000
    assert before - after >= 499
    assert counted == sorted(counted, reverse=True)
    assert counted[-1] < counted[0] / 2


def test_environment_holds_what_lambda_sets(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function finds Lambda's variables, the image's, its own and its role's credentials; none of the machine's."""
    monkeypatch.setenv("OF_THE_DEVELOPER", "secret")
    variables = {"OWN": "1", "OVERRIDDEN": "function", "NUMBER": 3, "SWITCH": True}
    found = invoke("environment", Environment={"Variables": variables})["body"]

    assert found["FROM_IMAGE"] == "yes"
    assert (found["OWN"], found["OVERRIDDEN"], found["NUMBER"], found["SWITCH"]) == ("1", "function", "3", "true")
    assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")
    assert found["AWS_SESSION_TOKEN"] == "t-arn:aws:iam::000000000000:role/function"
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (found["LAMBDA_TASK_ROOT"], found["AWS_EXECUTION_ENV"]) == ("/var/task", "AWS_Lambda_python3.12")
    assert "OF_THE_DEVELOPER" not in found


def test_context_describes_the_function(invoke: Invoke, logs: Logs) -> None:
    """The context has the configured name, memory, log group and stream, and the time that is left."""
    context = invoke("describe", MemorySize=300, Timeout=7)["body"]

    assert (context["memory"], context["name"]) == ("300", "function-handlers-describe")
    assert context["group"] == "/aws/lambda/function-handlers-describe"
    assert context["stream"] in logs.streams
    assert 0 < context["remaining"] <= 7000


def test_packages_that_the_image_lacks_cannot_be_imported(invoke: Invoke) -> None:
    """What this machine has installed but the image's requirements do not name is not there."""
    assert invoke("import_pytest")["body"]["errorType"] == "ModuleNotFoundError"


def test_handler_that_cannot_be_imported(registry: ImageRegistry, runtime: LambdaRuntime) -> None:
    """A module that fails at import is an error of the runtime, named as AWS names it, at every invocation."""
    results = [runtime.invoke(config(registry, "broken.handler"), {}, str(uuid.uuid4())) for _ in range(2)]

    assert [result["body"]["errorType"] for result in results] == ["Runtime.ImportModuleError"] * 2
    assert "nothing_of_this_name" in results[0]["body"]["errorMessage"]


def test_response_has_a_limit(invoke: Invoke) -> None:
    """A response of more than 6 MB is an error."""
    fits = invoke("large", {"bytes": 6 * 1024 * 1024 - 100})
    result = invoke("large", {"bytes": 7 * 1024 * 1024})

    assert len(fits["body"]) == 6 * 1024 * 1024 - 100
    assert result["body"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert result["error"]


def test_log_has_the_platforms_lines_around_the_functions(invoke: Invoke, logs: Logs) -> None:
    """START, the function's lines, END and REPORT, once each, in the stream of the environment and in the result."""
    result = invoke("answer", {"x": 1}, RevisionId="log")
    request = result["body"]["request"]
    lines = result["log"].splitlines()
    (stream,) = [name for name, written in logs.streams.items() if any(request in line for line in written)]

    assert lines[0] == f"START RequestId: {request} Version: $LATEST"
    assert lines[1] == "called with ['x']"
    assert lines[2] == f"END RequestId: {request}"
    assert lines[3].startswith(f"REPORT RequestId: {request}\tDuration: ")
    assert len(lines) == 4
    assert logs.streams[stream] == lines


def test_missing_image_is_named(registry: ImageRegistry, runtime: LambdaRuntime) -> None:
    """An image that is gone fails the invocation and is named."""
    uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/nothing:1"
    result = runtime.invoke(config(registry, "handlers.answer", ImageUri=uri), {}, "1")

    assert result["error"]
    assert uri in result["body"]["errorMessage"]


def test_close_ends_what_runs(registry: ImageRegistry) -> None:
    """Closing the runtime ends invocations under way and refuses new ones."""
    runtime = LambdaRuntime(registry, endpoint_url="http://127.0.0.1:4566", credentials_for=credentials_for)
    settings = config(registry, "handlers.sleep", Timeout=60)
    runtime.invoke(settings, {"seconds": 0}, "1")  # an environment that is ready
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(runtime.invoke, settings, {"seconds": 50}, "2")
        while not runtime._busy:
            pass
        runtime.close()
        result = running.result(timeout=10)

    assert result["body"]["errorType"] == "Runtime.ExitError"
    assert "shutting down" in runtime.invoke(settings, {"seconds": 0}, "3")["body"]["errorMessage"]


def test_path_of_tests_is_not_seen(tmp_path: Path, invoke: Invoke) -> None:
    """The machine's /tmp is not the function's."""
    assert invoke("write", {"path": "/tmp/probe"})["body"] == 1  # noqa: S108
    assert not Path("/tmp/probe").exists()  # noqa: S108
