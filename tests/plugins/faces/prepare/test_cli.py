"""`metai2i data faces`: its options."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from metai2i_faces.cli import prepare_command


@pytest.mark.parametrize(
    ("options", "kept"),
    [([], 20), (["--frames", "12"], 12), (["--frames", "30"], 20), (["--frames", "12", "--min-frames", "3"], 3)],
)
def test_clips_must_have_as_many_frames_as_the_recipes_take_unless_fewer_are_looked_at(monkeypatch, options, kept):
    seen = []
    monkeypatch.setattr("metai2i_faces.prepare.run.prepare", lambda videos, out, settings: seen.append(settings))
    CliRunner().invoke(prepare_command, ["videos", "out", *options])
    assert [settings.min_frames for settings in seen] == [kept]
