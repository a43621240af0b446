#!/usr/bin/env bash
# Trains, measures and exports the shipped backbones anew, into models/edge-m and models/edge-s:
#
#   models/rebuild.sh DATA CORPUS TEACHERS [RUNS]
#
# DATA holds `pretrain` and `eval`. CORPUS is made by `cargo corpus make CORPUS --pretrain DATA/pretrain`
# (corpus/README.md). TEACHERS holds yamnet.onnx and speech_embedding.onnx (trainer/train/TEACHERS.md); ONNX
# Runtime runs them (ORT_DYLIB_PATH). RUNS (runs/shipped) gets a folder for each run and table.md. Four hours
# on one core; what is finished is not done again, so that it may be stopped and started.
set -euo pipefail
usage='usage: models/rebuild.sh DATA CORPUS TEACHERS [RUNS]'
data=$(realpath "${1:?$usage}")
corpus=$(realpath "${2:?$usage}")
teachers=$(realpath "${3:?$usage}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runs=${4:-runs/shipped}
mtslvr() { cargo run --release --quiet --package mtslvr -- "$@"; }

mtslvr experiment models/experiments/shipped.toml --pretrain "$data/pretrain" --no-gpl \
    --data "$data/eval" --out "$runs" --cache "$runs/cache"
mtslvr export "$runs/edge-m-42" --name edge-m --calibrate "$data/pretrain" --no-gpl \
    --cache "$runs/cache" --out models/edge-m

resume=()
[[ -e $runs/edge-s/checkpoint.safetensors ]] && resume=(--resume)
[[ -e $runs/edge-s/model.slvr ]] ||
    mtslvr train --config models/edge-s/train.toml --data "$corpus" --no-gpl \
        --teacher "events=$teachers/yamnet.onnx" --teacher "speech=$teachers/speech_embedding.onnx" \
        --cache "$runs/cache" --out "$runs/edge-s" "${resume[@]}"
mtslvr export "$runs/edge-s" --name edge-s --calibrate "$corpus" --no-gpl --cache "$runs/cache" \
    --weights models/edge-s/weights.safetensors --out models/edge-s
