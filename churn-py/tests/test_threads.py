"""Long calls: other Python threads go on, Ctrl-C works, callbacks can stop the work."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from conftest import random_events

import churn


def test_the_interpreter_is_free_during_a_long_call():
    events = random_events(3_000_000, 200_000, seed=4)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    clock = threading.Thread(target=tick)
    clock.start()
    begin = time.perf_counter()
    log = churn.EventLog(events)
    end = time.perf_counter()
    done.set()
    clock.join()
    assert len(log) == 3_000_000
    # Copying the arrays holds the lock; the work itself, most of the time, must not.
    inside = [moment for moment in ticks if begin < moment < end]
    longest_pause = max(b - a for a, b in zip([begin, *inside], [*inside, end]))
    assert longest_pause < (end - begin) / 2, f"{longest_pause} of {end - begin} s"


def test_calls_of_several_threads_agree():
    logs = {}

    def build(seed):
        logs[seed] = churn.EventLog(random_events(100_000, 5_000, seed=seed % 2))

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0] == logs[2] == logs[4]
    assert logs[1] == logs[3] == logs[5]
    assert logs[0] != logs[1]


@pytest.fixture(scope="module")
def long_events():
    return random_events(4_000_000, 300_000, seed=5)


def test_a_callback_that_returns_false_cancels(long_events):
    with pytest.raises(churn.CancelledError) as caught:
        churn.EventLog(long_events, progress=lambda step, done, total: False)
    assert caught.value.kind == "Cancelled"
    assert caught.value.what.startswith("events.")


def test_what_a_callback_raises_comes_through(long_events):
    calls = []

    def fail(step, done, total):
        calls.append(step)
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        churn.EventLog(long_events, progress=fail)
    assert len(calls) == 1


def test_a_callback_is_called_on_the_calling_thread(long_events):
    threads = set()
    churn.EventLog(long_events, progress=lambda *_: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_ctrl_c_stops_a_long_call():
    program = textwrap.dedent(
        """
        import sys
        import churn
        from conftest import random_events

        events = random_events(4_000_000, 300_000, seed=6)
        print("ready", flush=True)
        try:
            while True:
                churn.EventLog(events)
                print("built", flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            sys.exit(7)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    try:
        assert child.stdout.readline() == "ready\n"
        # One whole build tells how long it takes; the signal arrives in the middle of the next.
        begin = time.perf_counter()
        assert child.stdout.readline() == "built\n"
        whole = time.perf_counter() - begin
        time.sleep(whole / 3)
        sent = time.perf_counter()
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=60)
        assert rest.split() == ["interrupted"]
        assert child.returncode == 7
        # Well before that build would have ended, or at the next poll if it is quick.
        assert time.perf_counter() - sent < max(whole, 1.0)
    finally:
        child.kill()
        child.wait()
