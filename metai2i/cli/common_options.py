"""Options that several commands have, in the same words."""

from __future__ import annotations

import rich_click as click

from metai2i.cli.paths import UserPath

plugins_option = click.option("--plugins-dir", type=UserPath(), multiple=True,
                              help="A folder of one-file plugins; may be given several times.")  # fmt: skip
device_option = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
                             help="Where the networks run.")  # fmt: skip
weights_option = click.option("--weights", type=UserPath(),
                              help="A folder with the feature weights of LPIPS.  "
                              "[default: METAI2I_WEIGHTS]")  # fmt: skip
general_option = click.option("--general", type=UserPath(), metavar="FILE",
                              help="The general model, where MODEL is kept apart from it.  [default: where it was when "
                              "MODEL was written]")  # fmt: skip
