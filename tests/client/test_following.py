"""Following a job: no gap after a cut, plain lines without a terminal, Ctrl-C never cancels."""

import io
import json
import os
import signal
import threading

import pytest

import stillhouse
from app.contract.resources import JobEvent
from stillhouse.follow import Bars, Lines, follow, span


def event(seq, kind, **data):
    return {"seq": seq, "type": kind, "attempt": 1, "time": f"2026-01-01T00:00:{seq:02}Z", "data": data}


def step(seq, number, progress, loss):
    metrics = {"loss": loss, "learning_rate": 0.1}
    return event(
        seq,
        "step",
        run="student",
        step=number,
        steps=100,
        epoch=1.0,
        progress=progress,
        eta_seconds=4.2,
        metrics=metrics,
    )


HISTORY = [
    event(1, "job.queued"),
    event(2, "job.state", **{"from": "queued", "to": "starting"}),
    event(3, "phase", phase="training", run="student"),
    step(4, 10, 0.1, 2.5),
    event(5, "evaluation", run="student", step=10, epoch=1.0, split="validation", metrics={"accuracy": 0.75}),
    event(6, "notice", text="the control has few labels"),
    step(7, 50, 0.5, 0.25),
    event(8, "job.terminal", **{"from": "finalizing", "to": "succeeded"}),
]


def sse(events):
    lines = [f"id: {one['seq']}\nevent: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events]
    return ": ping\n\n".join(lines).encode()


def stream(answers, events, **how):
    return answers.Answer(200, sse(events), {"Content-Type": "text/event-stream"}, **how)


@pytest.fixture
def events_path(answers):
    return f"/v1/jobs/{answers.JOB}/events"


@pytest.fixture
def job(client, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("running", name="digits")))
    return client.jobs.get(answers.JOB)


def test_a_cut_stream_resumes_without_a_gap(job, script, answers, events_path):
    inside = len(sse(HISTORY[:4])) + 30  # in the middle of the fifth event
    script.on("GET", events_path, stream(answers, HISTORY, cut=inside), stream(answers, HISTORY[4:]))
    assert [one.seq for one in job.events()] == list(range(1, 9))
    first, second = [asked for asked in script.asked if asked.path == events_path]
    assert first.headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in first.headers
    assert second.headers["Last-Event-ID"] == "4"


def test_a_stream_that_ends_early_or_is_turned_away_is_opened_again(job, script, answers, events_path):
    away = answers.problem(503, "service_unavailable", "restarting")
    script.on("GET", events_path, stream(answers, HISTORY[:3]), away, stream(answers, HISTORY[3:]))
    assert [one.seq for one in job.events()] == list(range(1, 9))


def test_following_can_start_later(job, script, answers, events_path):
    script.on("GET", events_path, stream(answers, HISTORY[6:]))
    assert [one.seq for one in job.events(after=6)] == [7, 8]
    assert script.asked[-1].headers["Last-Event-ID"] == "6"


def test_an_unknown_job_is_an_error(job, script, answers, events_path):
    script.on("GET", events_path, answers.problem(404, "not_found", "no such job"))
    with pytest.raises(stillhouse.NotFound):
        list(job.events())


def test_without_a_terminal_progress_is_lines(job, script, answers, events_path, capsys):
    script.on("GET", events_path, stream(answers, HISTORY))
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("succeeded")))
    assert job.follow().state == "succeeded"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "digits: queued"
    assert "digits: training student" in lines
    assert "digits: the control has few labels" in lines
    assert lines[-1] == "digits: succeeded"
    assert "\x1b" not in "".join(lines)


def test_lines_hold_the_numbers():
    written: list[str] = []
    drawing = Lines(written.append, "digits")
    events = [JobEvent.model_validate(one) for one in HISTORY[2:7]]
    follow("digits", slowed(events, drawing), drawing)
    assert written[-1] == "digits: training student  50%  step 50/100  loss 0.25  accuracy 75.0%  about 4 s left"


def test_a_stage_is_named():
    written: list[str] = []
    drawing = Lines(written.append, "digits")
    history = [
        event(3, "phase", phase="training", run="student", stage="hints"),
        event(4, "phase", phase="training", run="student", stage=None),
    ]
    follow("digits", slowed([JobEvent.model_validate(one) for one in history], drawing), drawing)
    assert written == ["digits: training student, stage hints", "digits: training student"]


def test_a_teacher_pass_tells_how_far_it_is():
    written: list[str] = []
    drawing = Lines(written.append, "digits")
    looks = [event(number, "teacher_pass", run="student", samples=64 * number, of=1000) for number in (4, 5)]
    history = [
        event(3, "phase", phase="teacher_pass", run="student"),
        *looks,
        event(6, "phase", phase="training", run="student"),
    ]
    follow("digits", slowed([JobEvent.model_validate(one) for one in history], drawing), drawing)
    assert written == [
        "digits: teacher pass",
        "digits: teacher pass  sample 256/1000",
        "digits: teacher pass  sample 320/1000",
        "digits: training student",
    ]


def slowed(events, drawing):
    for one in events:
        drawing._last = float("-inf")
        yield one


def test_on_a_terminal_progress_is_bars():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    events = [JobEvent.model_validate(one) for one in HISTORY]
    follow("digits", events, Bars(screen, "digits"))
    shown = screen.getvalue()
    assert "succeeded" in shown
    assert "the control has few labels" in shown
    assert "100%" in shown


def test_a_failed_job_raises_with_the_reason(job, script, answers, events_path):
    ending = event(2, "job.terminal", **{"from": "running", "to": "failed"})
    script.on("GET", events_path, stream(answers, [HISTORY[0], ending]))
    failure = {"code": "non_finite_loss", "detail": "step 12: soft_target is nan"}
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("failed", failure=failure)))
    with pytest.raises(stillhouse.JobFailed, match="non_finite_loss: step 12: soft_target is nan") as caught:
        job.follow()
    assert caught.value.failure.code == "non_finite_loss"


def test_ctrl_c_detaches_and_never_cancels(job, script, answers, events_path, capsys):
    end = threading.Event()
    script.on("GET", events_path, stream(answers, HISTORY[:4], hold=end))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a background
    timer.start()
    try:
        assert job.follow().state == "running"
    finally:
        end.set()
        timer.join()
        signal.signal(signal.SIGINT, inherited)
    assert "Detached; the job goes on" in capsys.readouterr().err
    assert {asked.method for asked in script.asked} == {"GET"}


def test_wait_polls_to_the_end(client, script, answers):
    path = f"/v1/jobs/{answers.JOB}"
    script.on("GET", path, *[answers.json(answers.job(state)) for state in ("queued", "running", "cancelled")])
    with pytest.raises(stillhouse.JobFailed, match="was cancelled"):
        client.jobs.get(answers.JOB).wait()


def test_wait_gives_up_in_time(job):
    with pytest.raises(stillhouse.WaitTimeout, match=r"longer than 0.2 s"):
        job.wait(timeout=0.2)


@pytest.mark.parametrize(("seconds", "text"), [(8, "8 s"), (200, "3 min"), (7500, "2 h 05 min")])
def test_durations_are_for_people(seconds, text):
    assert span(seconds) == text
