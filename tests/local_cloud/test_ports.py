"""Ports that are one's own before anybody listens on them."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud import ports
from local_cloud.ports import ReservedPort

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> range:
    """Only two ports to be had, none of which the kernel gives to anybody."""
    pairs = (range(first, first + 2) for first in range(61_000, 65_000, 2))  # nor does a cloud of another test
    numbers = next(pair for pair in pairs if all(_is_free(number) for number in pair))
    monkeypatch.setattr(ports, "_numbers", lambda: numbers)
    return numbers


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) != 0


def _in_another_process(numbers: range) -> str:
    """What another process says, which asks for one of these ports."""
    program = f"""
from local_cloud import ports
ports._numbers = lambda: {numbers!r}
try:
    print(ports.ReservedPort().number)
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nobody_else_reserves_a_port_before_it_is_released(two: range) -> None:
    """Neither this process nor another one; then both may."""
    first, second = ReservedPort(), ReservedPort()
    refused = _in_another_process(two)
    with pytest.raises(OSError, match="free"):
        ReservedPort()
    second.release()
    given = _in_another_process(two)
    again = ReservedPort()

    assert {first.number, second.number} == set(two)
    assert refused == f"no port from {two[0]} to {two[-1]} is free on this machine"
    assert given == str(second.number)
    assert again.number == second.number
    again.release()
    first.release()


def test_a_port_on_which_somebody_listens_is_not_reserved(two: range) -> None:
    """Whoever that is, and on whichever address."""
    with socket.create_server(("127.0.0.1", two[0])):
        found = ReservedPort()
        found.release()

    assert found.number == two[1]


def test_a_program_can_listen_on_a_reserved_port_at_once() -> None:
    """Also one that does not ask to use an address again, and on every address."""
    port = ReservedPort()
    with socket.socket() as server:
        server.bind(("", port.number))
        server.listen()
        with socket.create_connection(("127.0.0.1", port.number)):
            pass
    port.release()


def test_the_kernel_gives_no_reserved_port_to_others() -> None:
    """They lie outside the range that it chooses from, where it leaves room for that."""
    lowest, highest = map(int, _RANGE.read_text().split())
    port = ReservedPort()
    port.release()

    assert lowest < 21_000 or not lowest <= port.number <= highest
