import multiprocessing
import os
import re
import signal
import time

import pytest

from clipviz.errors import DataError
from clipviz.lock import LOCK, hold

FORK = multiprocessing.get_context("fork")  # quick: these processes compute nothing


def keep_hold(folder, held):
    with hold(folder):
        held.set()
        time.sleep(600)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    held = FORK.Event()
    process = FORK.Process(target=keep_hold, args=(tmp_path, held))
    process.start()
    assert held.wait(60)
    yield process
    process.kill()
    process.join()


def test_a_second_run_is_refused_with_the_pid_and_start_of_the_first(other, tmp_path):
    with pytest.raises(DataError, match="choose another out") as caught:
        with hold(tmp_path):
            raise AssertionError("held twice")
    told = re.search(r"process (\d+), since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})", str(caught.value))
    assert told and int(told[1]) == other.pid
    since = time.mktime(time.strptime(told[2][:19], "%Y-%m-%d %H:%M:%S"))
    assert 0 <= time.time() - since < 600
    assert other.is_alive() and (tmp_path / LOCK).exists()


def test_a_lock_that_a_killed_process_left_does_not_hold(other, tmp_path):
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    assert str(other.pid) in (tmp_path / LOCK).read_text(), "the file is still there"
    with hold(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
        assert str(other.pid) not in (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()


def test_other_processes_of_the_same_run_are_let_in(other, tmp_path):
    with hold(tmp_path, rank=1):
        pass
    assert (tmp_path / LOCK).exists()


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(ValueError, match="inside"):
        with hold(tmp_path / "new" / "run"):
            raise ValueError("inside")
    with hold(tmp_path / "new" / "run"):
        with pytest.raises(DataError, match=f"process {os.getpid()}"):
            with hold(tmp_path / "new" / "run"):
                pass


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="choose another out"):
        with hold(tmp_path / "run"):
            pass


def contend(folder, times, both):
    held = 0
    while held < times:
        try:
            with hold(folder):
                held += 1
                try:
                    os.close(os.open(folder / "alone", os.O_CREAT | os.O_EXCL))
                    os.unlink(folder / "alone")
                except FileExistsError:
                    both.set()
        except DataError:
            pass


def test_of_many_processes_one_at_a_time_has_the_folder(tmp_path):
    both = FORK.Event()
    processes = [FORK.Process(target=contend, args=(tmp_path, 100, both)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0] and not both.is_set()
