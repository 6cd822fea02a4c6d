"""The endpoint's container next to others that answer with the same forest: requests a second, latency, memory, start.

Every round starts each server anew, one after the other, and asks it on the loopback address. What counts are the
ratios of the medians: absolute figures are the machine's. Peers are installed into their own environments on first use.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_cloud.ports import ReservedPort
from tests.benchmarks.environments import load_generator
from tests.benchmarks.house_model import HouseModel, make
from tests.benchmarks.servers import SERVERS, Server, environ
from tests.fuzz.endpoint import family, megabytes

QUICK = ("treering", "classic", "bare")
LONGEST_START = 180  # seconds
AGREEMENT = 1e-6  # relative, with scikit-learn
_COLUMNS = {
    "start_s": ("start to first 200, s", 2),
    "p50_ms": ("one at a time, p50 ms", 3),
    "p99_ms": ("p99 ms", 3),
    "rate": ("16 at a time, requests/s", 0),
    "cpu_ms": ("CPU ms a request", 3),
    "megabytes": ("memory, MB", 0),
    "batch_ms": ("1,000 rows, ms", 1),
    "largest_ms": ("6 MB, ms", 0),
}
# name, the measure, how many times better than the classic container at least
_BARS = (
    ("100 times its requests a second", "rate", 100.0, False),
    ("a hundredth of its p50", "p50_ms", 100.0, True),
    ("a hundredth of its p99", "p99_ms", 100.0, True),
    ("a quarter of its memory", "megabytes", 4.0, True),
    ("batches of 1,000 rows 3 times faster", "batch_ms", 3.0, True),
    ("bodies of 6 MB 3 times faster", "largest_ms", 3.0, True),
)


@contextlib.contextmanager
def started(server: Server, folder: Path, port: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The programs of a server, ended at the end."""
    programs = server.programs(folder, port)
    with (folder / "server.log").open("ab") as log:
        processes = [
            subprocess.Popen(
                program, stdout=log, stderr=log, env=environ(folder, port), cwd=folder, start_new_session=True
            )
            for program in programs
        ]
        try:
            yield processes
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def ask(server: Server, port: int, body: bytes) -> tuple[list[float], float]:
    """Predictions for a body, and the milliseconds it took. Raises OSError if there is no answer of 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        begun = time.perf_counter()
        connection.request("POST", server.path, server.encode(body), {"Content-Type": server.content_type})
        reply = connection.getresponse()
        answer = reply.read()
        milliseconds = (time.perf_counter() - begun) * 1000
        if reply.status != 200:
            raise OSError(f"{server.name} answered {reply.status}: {answer[:300]!r}")
        return server.predictions(answer), milliseconds
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def measure(server: Server, model: HouseModel, seconds: float) -> dict[str, float]:
    """One round of one server."""
    reserved = ReservedPort()
    port = reserved.number
    requests = model.folder / "requests"
    requests.write_bytes(b"".join(struct.pack("=I", len(r)) + r for r in map(server.request, model.singles)))
    begun = time.perf_counter()
    with started(server, model.folder, port) as processes:
        while True:
            try:
                ask(server, port, model.singles[0])
                break
            except OSError as error:
                if time.perf_counter() - begun > LONGEST_START or any(p.poll() is not None for p in processes):
                    log = (model.folder / "server.log").read_text("utf-8", "replace")[-2000:]
                    sys.exit(f"{server.name} does not start: {error}\n{log}")
                time.sleep(0.01)
        found = {"start_s": time.perf_counter() - begun}
        found["difference"] = max(
            abs(ask(server, port, body)[0][0] - expected) / expected
            for body, expected in list(zip(model.singles, model.expected, strict=True))[:100]
        )
        if found["difference"] > AGREEMENT:
            sys.exit(f"{server.name} does not answer as scikit-learn does: {found['difference']:.1e} relative")
        load(port, 16, 1.0, requests)
        alone = load(port, 1, seconds, requests)
        busy_before = cpu_seconds(processes)
        together = load(port, 16, seconds, requests)
        busy = cpu_seconds(processes) - busy_before
        found |= {"p50_ms": alone["p50_ms"], "p99_ms": alone["p99_ms"]}
        found |= {"rate": together["requests"] / together["seconds"], "cpu_ms": busy / together["requests"] * 1000}
        found["megabytes"] = sum(megabytes(process.pid) for process in processes)
        found["batch_ms"] = statistics.median(ask(server, port, model.batch)[1] for _ in range(7))
        found["largest_ms"] = statistics.median(ask(server, port, model.largest)[1] for _ in range(3))
    reserved.release()
    return found


def load(port: int, connections: int, seconds: float, requests: Path) -> dict[str, float]:
    """What the load generator saw; stops the benchmark if a request failed."""
    command = [load_generator(), str(port), str(connections), str(seconds), requests]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode or ran.stderr:
        sys.exit(f"The load generator failed: {ran.stderr}")
    answer: dict[str, float] = json.loads(ran.stdout)
    return answer


def cpu_seconds(processes: list[subprocess.Popen[bytes]]) -> float:
    """Processor time of the programs and all that descend from them (proc(5), stat)."""
    ticks = 0
    for process in processes:
        for pid in family(process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def table(medians: dict[str, dict[str, float]], servers: list[Server]) -> str:
    """One row per server, one column per measure, as Markdown."""
    heads = ["server", *(head for head, _ in _COLUMNS.values())]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for server in servers:
        cells = [f"{medians[server.name][key]:,.{digits}f}" for key, (_, digits) in _COLUMNS.items()]
        lines.append(f"| {server.name} ({server.versions}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(ours: dict[str, float], classic: dict[str, float] | None, bare: dict[str, float] | None) -> list[str]:
    """Each bar with its ratio."""
    said = [f"start to first 200 under a second: {ours['start_s']:.2f} s, {_met(ours['start_s'] < 1)}"]
    if classic:
        for name, key, least, less_is_better in _BARS:
            ratio = classic[key] / ours[key] if less_is_better else ours[key] / classic[key]
            said.append(f"{name}: {ratio:,.1f}, bar {least:g}, {_met(ratio >= least)}")
    if bare:
        share = ours["rate"] / bare["rate"]
        said.append(f"stretch, half of the bare C server's requests a second: {share:.2f}, {_met(share >= 0.5)}")
    said.append(f"largest relative difference from scikit-learn: {ours['difference']:.1e}")
    return said


def _met(met: bool) -> str:
    return "met" if met else "missed"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=SERVERS)
    parser.add_argument("--quick", action="store_true", help="one round of a second, fewer servers")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.servers = 1, 1.0, list(QUICK)
    names, absent = {}, []
    for name in options.servers:
        try:
            names[name] = SERVERS[name]()
        except subprocess.CalledProcessError:
            sys.stderr.write(f"{name} cannot be installed here and is left out.\n")
            absent.append(name)
    servers = list(names.values())
    with tempfile.TemporaryDirectory() as temporary:
        model = make(Path(temporary), options.trees)
        rounds: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
        for number in range(1, options.rounds + 1):
            for server in servers:
                found = measure(server, model, options.seconds)
                rounds[server.name].append(found)
                sys.stderr.write(f"round {number}: {server.name}: {found['rate']:,.0f} requests/s\n")
    medians: dict[str, dict[str, Any]] = {
        name: {key: statistics.median(each[key] for each in found) for key in found[0]}
        for name, found in rounds.items()
    }
    if options.json:
        print(json.dumps({"medians": medians, "rounds": rounds, "absent": absent, "command": sys.argv[1:]}))
        return
    machine = f"{len(os.sched_getaffinity(0))} processors, Python {platform.python_version()}"
    print(f"medians of {options.rounds} rounds in turn, {options.trees} trees of full depth, {machine}\n")
    print(table(medians, servers) + "\n")
    for name in absent:
        print(f"- {name}: left out, as it cannot be installed here")
    if "treering" in names:
        others = [medians[names[key].name] if key in names else None for key in ("classic", "bare")]
        print("\n".join(f"- {line}" for line in verdicts(medians[names["treering"].name], *others)))


if __name__ == "__main__":
    main()
