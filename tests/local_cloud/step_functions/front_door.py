"""A small AWS for the tests: Lambda, SageMaker, SNS, EventBridge and CloudWatch Logs behind one port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"


class DeniedError(Exception):
    """What IAM would refuse."""


class FunctionDiedError(Exception):
    """A function that ended without an error of its own: what Lambda reports has no type."""


class FrontDoor:
    """Records what is called, runs the functions it is given, and ends jobs when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], str]] = []  # operation, request, access key
        self.functions: dict[str, Callable[[Any], Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.job_result: Callable[[dict[str, Any]], dict[str, Any]] | None = lambda _: {"Status": "Completed"}
        self.denied: set[str] = set()
        self.states: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None  # Step Functions itself
        self.errors: dict[str, tuple[str, str]] = {}
        self.log_lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
        handler = type("Handler", (_Handler,), {"door": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """List the requests of an operation."""
        return [request for name, request, _ in self.calls if name == operation]

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of a JSON service."""
        if operation in self.errors:
            raise LookupError(*self.errors[operation])
        if operation in self.denied:
            user = f"arn:aws:sts::{ACCOUNT}:assumed-role/machine/x"
            raise DeniedError(f"User: {user} is not authorized to perform: {operation}")
        if operation.startswith("states:") and self.states is not None:
            return self.states(operation.removeprefix("states:"), request)
        if operation.startswith("sagemaker:"):
            return self._sagemaker(operation.removeprefix("sagemaker:"), request)
        if operation == "logs:PutLogEvents":
            lines = self.log_lines[request["logGroupName"], request["logStreamName"]]
            lines += [json.loads(event["message"]) for event in request["logEvents"]]
        if operation == "logs:CreateLogStream":
            self.log_lines.setdefault((request["logGroupName"], request["logStreamName"]), [])
        if operation == "events:PutEvents":
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in request["Entries"]]}
        return {}

    def _sagemaker(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        for kind in ("Processing", "Training", "Transform"):
            name_field, status_field = f"{kind}JobName", f"{kind}JobStatus"
            if action == f"Create{kind}Job":
                name = request[name_field]
                arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind.lower()}-job/{name}"
                self.jobs[name] = {
                    name_field: name,
                    f"{kind}JobArn": arn,
                    status_field: "InProgress",
                    "CreationTime": 1700000000.125,
                    "RoleArn": request.get("RoleArn", ROLE),
                }
                return {f"{kind}JobArn": arn}
            if action == f"Describe{kind}Job":
                job = self.jobs[request[name_field]]
                if job[status_field] == "InProgress" and self.job_result is not None:
                    result = dict(self.job_result(job))
                    job[status_field] = result.pop("Status")
                    job.update(result)
                return job
            if action == f"Stop{kind}Job":
                self.jobs[request[name_field]][status_field] = "Stopped"
                return {}
        if action == "CreateModel":
            return {"ModelArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/{request['ModelName']}"}
        if action == "DescribeEndpoint":
            return {"EndpointName": request["EndpointName"], "EndpointStatus": "InService", "CreationTime": 1700000000}
        raise LookupError("ValidationException", f"no such action here: {action}")


class _Handler(BaseHTTPRequestHandler):
    door: FrontDoor
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        if "/functions/" in self.path:
            self._invoke(body, key)
        elif target:
            prefix, _, action = target.rpartition(".")
            services = {"SageMaker": "sagemaker", "AWSEvents": "events", "AWSStepFunctions": "states"}
            service = services.get(prefix, "logs")
            self._json(f"{service}:{action}", json.loads(body), key)
        else:
            self._publish({name: values[0] for name, values in parse_qs(body.decode()).items()}, key)

    def _invoke(self, body: bytes, key: str) -> None:
        name = unquote(self.path.split("/functions/")[1].split("/")[0]).rpartition(":")[2]
        event = json.loads(body or b"null")
        self.door.calls.append(("lambda:InvokeFunction", {"FunctionName": name, "Payload": event}, key))
        if "lambda:InvokeFunction" in self.door.denied:
            message = {"__type": "AccessDeniedException", "Message": "not authorized to perform: lambda:InvokeFunction"}
            self._send(403, json.dumps(message).encode(), {"x-amzn-ErrorType": "AccessDeniedException"})
            return
        if "lambda:InvokeFunction" in self.door.errors:
            code, message = self.door.errors["lambda:InvokeFunction"]
            self._send(429, json.dumps({"message": message}).encode(), {"x-amzn-ErrorType": code})
            return
        try:
            result = self.door.functions[name](event)
        except FunctionDiedError as error:
            self._send(200, json.dumps({"errorMessage": str(error)}).encode(), {"X-Amz-Function-Error": "Unhandled"})
            return
        except Exception as error:
            payload = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode()
            self._send(200, payload, {"X-Amz-Function-Error": "Unhandled"})
            return
        self._send(200, json.dumps(result).encode(), {"X-Amz-Executed-Version": "$LATEST"})

    def _json(self, operation: str, request: dict[str, Any], key: str) -> None:
        self.door.calls.append((operation, request, key))
        try:
            self._send(200, json.dumps(self.door.answer(operation, request)).encode())
        except DeniedError as error:
            self._send(400, json.dumps({"__type": "AccessDeniedException", "Message": str(error)}).encode())
        except LookupError as error:
            code, message = error.args
            self._send(400, json.dumps({"__type": code, "message": message}).encode())

    def _publish(self, request: dict[str, str], key: str) -> None:
        self.door.calls.append(("sns:Publish", request, key))
        if "sns:Publish" in self.door.denied:
            error = b"<Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>no</Message></Error>"
            self._send(403, b"<ErrorResponse>" + error + b"</ErrorResponse>")
            return
        self._send(
            200,
            b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId>'
            b"</PublishResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></PublishResponse>",
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
