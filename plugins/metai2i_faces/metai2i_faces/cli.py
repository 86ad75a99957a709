"""`metai2i data faces`: prepares faces of videos or folders of images."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(
    epilog="""\b
Examples:
  metai2i data faces FaceForensics data/faces
  metai2i data faces my_videos data/mine --val-fraction 0.1
  metai2i data faces photos data/photos --min-frames 6 --frames 20
"""
)
@click.argument("videos", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", type=int, default=128, show_default=True, help="Height and width of the images.")
@click.option("--margin", type=float, default=1.3, show_default=True,
              help="Side of the square that is cut out, in parts of the longer side of the points' box.")  # fmt: skip
@click.option("--frames", type=int, default=25, show_default=True,
              help="Look at so many frames of each clip, evenly spaced.")  # fmt: skip
@click.option("--clips", type=int, default=7, show_default=True,
              help="Cut a training video into so many clips; all but the first are augmented.")  # fmt: skip
@click.option("--min-frames", type=int,
              help="Drop clips with fewer good frames.  [default: 20, five shots and fifteen queries as the recipes "
              "take them, or --frames where that is fewer]")  # fmt: skip
@click.option("--min-score", type=float, default=0.0, show_default=True,
              help="Reject frames whose face the detector scores lower.")  # fmt: skip
@click.option("--val-fraction", type=float, default=0.0, show_default=True,
              help="Share of the videos that validate, where the folder has no splits of its own.")  # fmt: skip
@click.option("--test-fraction", type=float, default=0.2, show_default=True,
              help="Share of the videos that test, where the folder has no splits of its own.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the augmentation.")
def prepare_command(videos: Path, out: Path, frames: int, min_frames: int | None, **options: float) -> None:
    """Make pairs of face photographs and region maps of the videos in VIDEOS, for the task source `faces`.

    VIDEOS is FaceForensics ({train,test}/original/*.avi), FaceForensics++ (original_sequences/youtube/*/videos/*.mp4)
    or any folder with videos, or with a folder of images for every person; where it has no train/, val/ and test/,
    the names decide who tests. Each is taken for one person: of several faces the one is followed that is seen largest,
    clearest and longest. A face that is lost leaves a gap; one that has moved by more than its own size is another's,
    unless it is recognised. Of a video with several shots one is taken, the longest with a face. In a folder of
    photographs that do not follow each other, the person is who is in most of them.

    A training video is cut into clips, each a person of its own, all but the first of them mirrored (every second
    time), turned (by up to 10 degrees) and scaled (by up to a tenth) as a whole. A frame is rejected when it shows no
    face, or others' alone, when the detector's score is too low, when the face does not fit into the frame, or when a
    region has no area. Images and frames that cannot be read are left out. All of it is counted and told.

    A run that was interrupted goes on when it is called again. Who was prepared stays as she is, in her split, whoever
    comes or goes; what was moved or renamed is recognised by its content, what was replaced is made anew, and what is
    gone is left out of splits.json while its folders stay. Folders that you have changed are not touched. A video that
    cannot be read does not stop the others, and is tried again at the next call.

    It needs PyAV, dlib and its weights; where they are missing, the message has the command that installs them. The
    weights that find the landmarks were trained on images (iBUG 300-W) that exclude commercial use.
    """
    from metai2i_faces.prepare.portraits import Settings
    from metai2i_faces.prepare.run import prepare

    least = min(Settings.min_frames, frames) if min_frames is None else min_frames
    summary = prepare(videos, out, Settings(frames=frames, min_frames=least, **options))  # type: ignore[arg-type]
    for line in summary.lines(out):
        click.echo(line)
