"""What a stage gets, as options say it."""

from __future__ import annotations

import pytest

from metai2i.errors import UserError
from metai2i.executors.resources import resources_of


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_a_stage_gets_a_cpu_and_a_gpu_where_there_are_some():
    assert resources_of(None, None, on_gpu=False).all() == {(1, 0)}
    assert resources_of(None, None, on_gpu=True).all() == {(1, 1)}


def test_omp_num_threads_says_how_many_cpus(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert resources_of(None, None, on_gpu=False).all() == {(3, 0)}
    assert resources_of("2", None, on_gpu=False).all() == {(2, 0)}


def test_stages_may_have_numbers_of_their_own():
    resources = resources_of("1,metatrain=4", "0.5,metatrain=1", on_gpu=True)
    assert resources.of("metatrain") == (4, 1)
    assert resources.of("evaluate") == (1, 0.5)
    assert resources_of("evaluate=2", None, on_gpu=False).of("pretrain") == (1, 0)


@pytest.mark.parametrize(
    ("cpus", "gpus", "on_gpu", "words"),
    [
        ("0", None, False, "--cpus: got '0', expected whole numbers of 1 or more"),
        ("1.5", None, False, "--cpus: got '1.5', expected whole numbers of 1 or more"),
        ("many", None, False, "--cpus: got 'many', expected a number, or as in 1,metatrain=4"),
        ("nan", None, False, "--cpus: got 'nan', expected a number"),
        ("", None, False, "--cpus: got '', expected a number"),
        ("1,metatrian=4", None, False, "--cpus: no stage is called 'metatrian'"),
        (None, "1.5", True, "--gpus: got '1.5', expected whole numbers, or parts of one"),
        (None, "-1", True, "--gpus: got '-1', expected a number"),
        (None, "1", False, "--gpus: got '1', and networks run on the CPU"),
        (None, "0,metatrain=1", True, "every stage needs a GPU"),
    ],
)
def test_what_is_no_number_for_a_stage_is_refused(cpus, gpus, on_gpu, words):
    with pytest.raises(UserError) as refusal:
        resources_of(cpus, gpus, on_gpu=on_gpu)
    assert words in str(refusal.value)
