"""Several processes that start together, for tests of what happens when they meet."""
import multiprocessing

import harness

TIME_LIMIT = 60


class Died(Exception):
    """A process ended without an answer; its text is the exit code."""


def child(directory, barrier, answer, function, number, args):
    t = harness.Test(directory, barrier)
    try:
        barrier.wait()
        answer.send(function(t, number, *args))
    except Exception as error:
        answer.send(error)
    finally:
        t.close()


def receive(process, answer):
    try:
        result = answer.recv()
    except EOFError:
        process.join()
        return Died(f'process ended with {process.exitcode}')
    process.join()
    return result


def run(directory, count, function, args):
    # Spawned, not forked: an open SQLite connection must not be carried across a fork.
    context = multiprocessing.get_context('spawn')
    barrier = context.Barrier(count, timeout=TIME_LIMIT)
    started = []
    for number in range(count):
        answer, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=child, args=(directory, barrier, theirs, function, number, args))
        process.start()
        # Ours has to be closed, or the end of the process would not show as the end of its answer.
        theirs.close()
        started.append((process, answer))
    return [receive(process, answer) for process, answer in started]
