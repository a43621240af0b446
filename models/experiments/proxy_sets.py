#!/usr/bin/env python3
"""Sorts pretraining recordings into labelled sets by their file names, for choosing settings.

    python3 models/experiments/proxy_sets.py DATA/pretrain runs/proxy

The sets that results are reported on must not choose the settings of a model. The names of some
pretraining recordings tell what they hold; this makes sets of links from those. The network has
heard these recordings, without labels, so accuracy on them ranks settings and is no result.
"""

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

# Set, source, pattern in the file's name; the class is the pattern's first group.
RULES = [
    ("wake_words", "pico_wake", r"(alexa|jarvis|mirror|computer|glass|snowboy)_"),
    ("instruments", "discord_gm", r"(\w{0,2}0?(?:01|02|03|05|26|34|45|46)|105|112)_[A-Z]"),
    ("voices", "ktuberling", r"sounds_(sr|wa|uk|sv|sl|ru|ro|pt|nn|nl|nds|lt|it|id|gl|ga|fr|fi|es|eo|el|de|da|ca)_"),
    ("percussion", "sonicpi", r"samples_(ambi|bass|bd|drum|elec|guit|hat|loop|perc|sn|tabla|vinyl)_"),
    ("sounds", "cdda_ccsounds", r"(walk_[a-z]|weather|smash_fail|smash_success|fire_gun|hurt_[fm]|tool_|vehicle|radio|explosion|door|reload)"),
]
SMALLEST = 4  # Clips of a class; a smaller class is left out.


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    rows = list(csv.DictReader((source / "manifest.csv").open()))
    for name, origin, pattern in RULES:
        classes = defaultdict(list)
        for row in rows:
            match = re.search(pattern, Path(row["path"]).name)
            if row["source"] == origin and match:
                classes[re.sub(r"\W|^[a-z]*_?(?=\d)", "", match[1]).strip("_")].append(row["path"])
        classes = {label: paths for label, paths in classes.items() if len(paths) >= SMALLEST}
        for label, paths in classes.items():
            folder = target / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for path in paths:
                link = folder / Path(path).name
                if not link.is_symlink():
                    link.symlink_to(source / path)
        counts = ", ".join(f"{label} {len(paths)}" for label, paths in sorted(classes.items()))
        print(f"{name}: {len(classes)} classes ({counts})")


if __name__ == "__main__":
    main()
