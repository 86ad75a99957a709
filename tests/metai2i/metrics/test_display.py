"""How numbers are read, told and read back."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from metai2i.metrics.display import MEASURES, MetricInfo, info_from_class, info_of, read_measures, tell_measures


class Landmarks:
    label, higher_is_better, unit, digits = "NME ↓", False, "", 4


def test_a_title_and_a_direction_make_a_label():
    sides = {True: "NME ↑", False: "NME ↓", None: "NME"}
    assert {side: MetricInfo("nme", "NME", side).label for side in sides} == sides


@pytest.mark.parametrize("label", ["NME ↓", "NME", "NME ↑", "NME↓ "])
def test_the_arrow_of_a_label_is_that_of_its_direction(label):
    metric = type("Metric", (Landmarks,), {"label": label})
    assert info_from_class("face_landmarks", metric) == MetricInfo("face_landmarks", "NME", False, digits=4)
    assert info_from_class("face_landmarks", metric).label == "NME ↓"


def test_what_is_told_reads_back_from_json():
    measures = {**MEASURES, "nme": MetricInfo("nme", "NME", None, "px", 1)}
    assert read_measures(json.loads(json.dumps(tell_measures(measures)))) == measures


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"nme": None},
        {"nme": {"title": "NME"}, "higher_is_better": "no"},
        {"nme": {"title": 3, "higher_is_better": True}},
        {"nme": {"title": "NME", "higher_is_better": "yes"}},
        {"nme": {"title": "NME", "higher_is_better": True, "digits": "3"}},
    ],
)
def test_what_is_damaged_is_left_out(record):
    assert set(read_measures(record)) <= {"nme"}
    assert read_measures(record).get("nme", MetricInfo("nme", "NME", None)).higher_is_better is None


def test_a_name_is_looked_up_in_what_is_told_then_in_the_core():
    measures = {"nme": MetricInfo("nme", "NME", False), "ssim": MetricInfo("ssim", "S", True)}
    assert info_of("nme", measures) == measures["nme"]
    assert info_of("ssim", measures).title == "S"
    assert info_of("psnr", measures) == MEASURES["psnr"]


def test_an_unknown_metric_has_no_better_side():
    assert info_of("fid").higher_is_better is None
    assert info_of("fid").label == "fid"


def test_reading_needs_no_torch():
    code = "import metai2i.metrics.display, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
