#!/usr/bin/env bash
# Trains, measures and exports the shipped backbones anew, into models/edge-m and models/edge-s:
#
#   models/rebuild.sh DATA [RUNS]
#
# DATA holds `pretrain` and `eval`; RUNS (runs/shipped) gets a folder for each run and table.md. Five
# hours on one core; what is finished is not done again, so that it may be stopped and started.
set -euo pipefail
data=$(realpath "${1:?usage: models/rebuild.sh DATA [RUNS]}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runs=${2:-runs/shipped}
mtslvr() { cargo run --release --quiet --package mtslvr -- "$@"; }

mtslvr experiment models/experiments/shipped.toml --pretrain "$data/pretrain" --no-gpl \
    --data "$data/eval" --out "$runs" --cache "$runs/cache"
for name in edge-m edge-s; do
    mtslvr export "$runs/$name-42" --name "$name" --calibrate "$data/pretrain" --no-gpl \
        --cache "$runs/cache" --out "models/$name"
done
