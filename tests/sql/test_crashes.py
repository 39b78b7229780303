"""Processes that are killed at random moments: nothing that was reported is lost, nothing is left half done."""
import harness
import trials


@harness.release_only
def test_workers_killed_at_random_lose_nothing(t):
    t.true(trials.workers_killed(t, 1, 'delete', 40) > 40)


@harness.release_only
def test_workers_killed_at_random_lose_nothing_in_wal_mode(t):
    t.true(trials.workers_killed(t, 2, 'wal', 40) > 40)


@harness.release_only
def test_an_initialisation_killed_in_the_middle_is_done_by_the_next(t):
    for journal in ('delete', 'wal'):
        t.true(trials.initialising_killed(t, 3, journal, 12) > 0, 'none was killed in the middle')


@harness.release_only
def test_a_purge_killed_in_the_middle_is_whole_or_not_there(t):
    for journal in ('delete', 'wal'):
        t.true(trials.purging_killed(t, 4, journal, 12) > 0, 'none was killed in the middle')


@harness.release_only
def test_senders_killed_at_random_lose_no_mail_and_double_only_what_may_be_a_duplicate(t):
    for number, journal in enumerate(('delete', 'wal')):
        killed, _ = trials.senders_killed(t, 5 + number, journal, 1000, 240)
        t.true(killed > 1, f'{killed} were killed')
