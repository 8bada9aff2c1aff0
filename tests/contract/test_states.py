"""The table of states, as its picture says."""

from app.contract.states import LEASED, TERMINAL, TRANSITIONS, JobState


def test_every_state_has_its_row() -> None:
    assert TRANSITIONS.keys() == set(JobState)


def test_terminal_states_never_change() -> None:
    assert all(not TRANSITIONS[state] for state in TERMINAL)


def test_every_other_state_leads_to_an_end() -> None:
    for state in set(JobState) - TERMINAL:
        reached, frontier = {state}, [state]
        while frontier:
            fresh = TRANSITIONS[frontier.pop()] - reached
            reached |= fresh
            frontier += fresh
        assert reached & TERMINAL


def test_a_job_starts_only_from_the_queue_and_ends_well_only_after_finalizing() -> None:
    assert {state for state, to in TRANSITIONS.items() if JobState.STARTING in to} == {JobState.QUEUED}
    assert {state for state, to in TRANSITIONS.items() if JobState.SUCCEEDED in to} == {JobState.FINALIZING}


def test_what_a_worker_holds_is_neither_waiting_nor_over() -> None:
    assert not LEASED & (TERMINAL | {JobState.QUEUED, JobState.PAUSED})
