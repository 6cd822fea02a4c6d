"""Keeps the emulator's resources on disk, so that a cloud that was killed comes back with everything it had answered.

A request that changes a resource is answered once the change is on disk. What changes without a request, and logs and
metrics, which come in great numbers, follow within half a second. Objects in buckets have files of their own (see
``object_writes``).

A stack's creation, update or deletion touches many services, for seconds. While it goes on, nothing but what requests
change is saved, and the state machines, which have files of their own, are copied aside: a cloud that is killed
meanwhile finds all of it as it was before, and the same deployment can be done again. What it has changed then counts
all at once: it is written into a folder beside, which gets its name when it is complete, and moved from there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from local_cloud import durable_files
from local_cloud.durable_files import DamagedStateError
from local_cloud.front_door import AsgiApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.5, 5.0
_SHARE = 0.05  # of the time at most may go into saving
_TRIES = 5  # a copy may meet a change made by another thread

#: Name in a request's signature → the emulator's names for the states that such a request may change at once.
_STATES_OF = {
    "cloudformation": ("cloudformation",),
    "ecr": ("ecr",),
    "events": ("eventbridge",),
    "iam": ("iam",),
    "kms": ("kms",),
    "lambda": ("lambda",),
    "s3": ("s3",),
    "secretsmanager": ("secretsmanager",),
    "sns": ("sns", "sqs"),
    "sqs": ("sqs",),
    "ssm": ("ssm",),
    "sts": ("sts",),
}
#: What is saved: the above, and what follows later.
SAVED = ("cloudwatch", "cloudwatch_logs", *dict.fromkeys(name for names in _STATES_OF.values() for name in names))
#: Those that grow; their functions give deep copies of what they keep, and do nothing else.
LARGE = ("cloudformation", "cloudwatch", "cloudwatch_logs")
_NO_COPY = SimpleNamespace(deepcopy=lambda kept: kept)
_READ_ONLY = re.compile(r"(Batch)?(Get|Describe|List|Head|Receive|Invoke|Simulate|Lookup|Query|Validate)")
_STACK_OPERATIONS = frozenset(
    {"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet", "ContinueUpdateRollback", "RollbackStack"}
)
_SIGNED_FOR = re.compile(rb"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")


class Persistence:
    """Loads and saves the emulator's states in ``<state>/services``."""

    def __init__(self, app: ModuleType, state: Path) -> None:
        self._app = app
        self._folder = state / "services"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._machines, self._aside = state / "step_functions", state / "before_stack_operation"
        self._after = state / "after_stack_operation"
        self._written: dict[str, bytes] = {}
        self._saving, self._setting_aside = threading.Lock(), threading.Lock()
        self._beginning = 0  # requests under way that begin a stack's operation; only the event loop counts
        self._stacks_changed = True  # or may have; nothing but requests to CloudFormation changes them
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persistence", daemon=True)

    def load(self) -> None:
        """Give the emulator what an earlier cloud left. Raises DamagedStateError."""
        from ministack.core import persistence
        from ministack.services import sts

        if self._after.exists():
            self._finish_stack_operation()
        else:
            self._undo_stack_operation()
        for name in SAVED:
            path = self._folder / f"{name}.json"
            if not path.is_file():
                continue
            holds = f"the resources of {name}"
            content = durable_files.read(
                path, lambda text: json.loads(text, object_hook=persistence._json_object_hook), holds
            )
            if content.get("__ministack_format__", 0) > persistence._state_format_version(name):
                raise DamagedStateError(path, "a later version of the emulator wrote it", holds)
            try:
                if name == "sts":
                    sts._sessions.update(content["payload"])
                else:
                    self._app._get_module(self._app._state_map[name]).load_persisted_state(content["payload"])
            except Exception as error:  # whatever the emulator makes of it, it must not start without
                raise DamagedStateError(path, f"{type(error).__name__}: {error}", holds) from error

    def start(self) -> None:
        """Save from now on."""
        self._thread.start()

    def close(self) -> None:
        """Save for the last time."""
        self._stop.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._save_all()

    async def serve(self, aws: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer when what it changed is on disk."""
        call = _Call(scope)
        begins = False

        async def receiving() -> Message:
            nonlocal begins
            message = await receive()
            if call.note(message):
                begins = True
                self._beginning += 1
                await asyncio.to_thread(self._begin_stack_operation)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._changed.set()
                if call.service == "cloudformation":
                    self._stacks_changed = True
                if message["status"] < 400 and (states := call.changes()):
                    await asyncio.to_thread(self.save, states)
                if call.service == "cloudformation" and not begins and self._aside.exists():
                    await asyncio.to_thread(self._save_all)  # whoever reads that a stack is complete can rely on it
            await send(message)

        try:
            await aws(scope, receiving, sending)
        finally:
            self._beginning -= begins

    def save(self, names: Iterable[str]) -> bool:
        """Write the states that have changed; say whether there were any."""
        with self._saving:
            if self._aside.exists():
                names = [name for name in names if name != "cloudformation"]  # comes with all else of its operation
            found, _ = self._write(names, self._folder)
        return found

    def _write(self, names: Iterable[str], folder: Path) -> tuple[bool, bool]:
        """Write the states that have changed into a folder; whether there were any, and whether all could be copied."""
        found, whole = False, True
        states = {**self._app._build_persistence_save_dict(), "sts": _sessions}
        states |= {name: without_copies(states[name]) for name in LARGE if name in states}
        for name in names:
            if name == "cloudformation":
                if self._stack_in_progress() or not self._stacks_changed:
                    continue
                self._stacks_changed = False
            if name not in states:
                continue
            text = self._text(name, states[name])
            digest = hashlib.blake2b((text or "").encode(), digest_size=16).digest()
            if text is not None and self._written.get(name) == digest:
                continue
            found = True
            if name == "cloudformation":
                self._stacks_changed = True  # an operation may be at its last strokes
            if text is None:
                whole = False
                continue
            durable_files.write(folder / f"{name}.json", text)
            self._written[name] = digest
        return found, whole

    def _text(self, name: str, get_state: Any) -> str | None:
        """A state in words; None where it changed again and again meanwhile."""
        from ministack.core import persistence

        for attempt in range(_TRIES):
            try:
                content = {"__ministack_format__": persistence._state_format_version(name), "payload": get_state()}
                return json.dumps(content, default=persistence._json_default)
            except RuntimeError:  # a dictionary changed its size while it was copied
                if attempt == _TRIES - 1:
                    _logger.exception("the state of %s could not be saved; trying again", name)
                time.sleep(0.005)
        return None

    def _run(self) -> None:
        pause = least = _SHORTEST_SECONDS
        while not self._stop.is_set():
            if self._changed.wait(pause) and self._stop.wait(least):
                return
            asked = self._changed.is_set()
            self._changed.clear()
            started = time.monotonic()
            try:
                found = self._save_all()
            except Exception:
                _logger.exception("saving the resources failed; trying again")
                found = True
            least = min(max(_SHORTEST_SECONDS, (time.monotonic() - started) / _SHARE), _LONGEST_SECONDS)
            pause = _SHORTEST_SECONDS if asked or found else min(pause * 2, _LONGEST_SECONDS)

    def _save_all(self) -> bool:
        with self._setting_aside:
            if self._beginning or self._stack_in_progress():
                return True
            return self._save_stack_operation() if self._aside.exists() else self.save(SAVED)

    def _save_stack_operation(self) -> bool:
        """Write what a stack's operation has changed, which counts from the moment when its folder gets its name."""
        unfinished = self._after.with_suffix(".tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with self._saving:
            known = dict(self._written)
            try:
                _, whole = self._write(SAVED, unfinished)
            except BaseException:
                self._written = known
                raise
            if not whole:
                self._written = known
                return True
            unfinished.rename(self._after)
            self._finish_stack_operation()
        return True

    def _finish_stack_operation(self) -> None:
        for path in self._after.iterdir():
            path.replace(self._folder / path.name)
        self._forget_aside()
        self._after.rmdir()

    def _stack_in_progress(self) -> bool:
        from ministack.services import cloudformation

        statuses = [str(stack.get("StackStatus")) for stack in list(cloudformation._stacks._data.values())]
        return any(status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" for status in statuses)

    def _begin_stack_operation(self) -> None:
        """Save everything as it is, and copy the state machines aside, before a stack's operation begins."""
        with self._setting_aside:
            if self._aside.exists():
                return  # another operation is under way, and what was before it counts
            self.save(SAVED)
            unfinished = self._aside.with_suffix(".tmp")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for path in self._machines.glob("*.machine.json"):
                shutil.copyfile(path, unfinished / path.name)
            unfinished.rename(self._aside)

    def _undo_stack_operation(self) -> None:
        """Put the state machines back as they were before the operation in which the cloud was killed."""
        if not self._aside.exists():
            return
        _logger.warning("the cloud was killed during a stack's operation; all is as it was before that")
        kept = {path.name for path in self._aside.iterdir()}
        for path in self._machines.glob("*.machine.json"):
            if path.name not in kept:
                path.unlink()
        for path in self._aside.iterdir():
            shutil.copyfile(path, self._machines / path.name)
        self._forget_aside()

    def _forget_aside(self) -> None:
        if self._aside.exists():
            gone = self._aside.with_suffix(".tmp")
            shutil.rmtree(gone, ignore_errors=True)
            self._aside.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def without_copies(get_state: Callable[[], Any]) -> Callable[[], Any]:
    """The emulator's function that gives a service's state, but what is kept itself, not a deep copy.

    What is put into words at once, and never changed, needs none. Copying took longer than all else of saving.
    """
    known = vars(sys.modules[get_state.__module__])
    return FunctionType(get_state.__code__, known | {"copy": _NO_COPY})


def _sessions() -> dict[str, Any]:
    """Sessions of roles, which the emulator itself does not keep."""
    from ministack.services import sts

    return dict(sts._sessions)


class _Call:
    """What a request asks for, as far as it shows in its headers and the beginning of its body."""

    def __init__(self, scope: Scope) -> None:
        headers = dict(scope.get("headers", []))
        signed = _SIGNED_FOR.search(headers.get(b"authorization", b""))
        self.service = signed[1].decode("latin-1") if signed else ""
        self._method = scope.get("method", "")
        self._path = scope.get("path", "")
        self._action = headers.get(b"x-amz-target", b"").rpartition(b".")[2].decode("latin-1")
        self._noted = False

    def note(self, message: Message) -> bool:
        """Look at a part of the body; say, once, that a stack's operation begins."""
        if self._noted or self._method != "POST":
            return False
        self._noted = True
        if not self._action and (found := _ACTION.search(message.get("body", b"")[:65536])):
            self._action = found[1].decode()
        return self.service == "cloudformation" and self._action in _STACK_OPERATIONS

    def changes(self) -> tuple[str, ...]:
        """The states that the request may have changed."""
        if self._method in ("GET", "HEAD") or _READ_ONLY.match(self._action):
            return ()
        if self.service == "s3" and "/" in self._path.strip("/"):
            return ()  # an object, which has files of its own
        if self.service == "lambda" and self._path.endswith(("/invocations", "/invoke-async/")):
            return ()
        return _STATES_OF.get(self.service, ())
