"""What tests wait for, and ports at which nothing listens yet."""
import contextlib
import pathlib
import socket
import time


def free_ports(count):
    """Ports of loopback, no two the same."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def free_port():
    return free_ports(1)[0]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def wait_for(condition, what, seconds=60):
    """`what` is named when the condition does not come about; of a file also what it says."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            told = what.read_text() if isinstance(what, pathlib.Path) else ''
            raise AssertionError(f'{what} did not come about within {seconds} seconds\n{told}')
        time.sleep(0.02)
