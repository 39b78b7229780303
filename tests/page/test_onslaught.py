"""Pages whose processes are killed or stopped, and pages at which somebody guesses."""
import harness
import visitors


def test_what_was_answered_outlives_the_kill_of_the_process_that_answered(t):
    t.true(visitors.pages_killed(t, 1, 'wal', 16, 12) > 0, 'none was killed')


@harness.release_only
def test_processes_that_serve_may_be_killed_in_rollback_mode_too(t):
    t.true(visitors.pages_killed(t, 2, 'delete', 16, 12) > 0, 'none was killed')


def test_it_ends_while_clients_go_on_asking(t):
    visitors.stopped(t, 1, 5)


@harness.release_only
def test_four_hundred_guesses_from_sixteen_clients_get_nowhere_and_leave_nothing_behind(t):
    t.equal(visitors.guessed(t, 400), 6, 'four counters and two events')
