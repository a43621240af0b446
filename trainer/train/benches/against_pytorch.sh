#!/usr/bin/env bash
# A full training step here against PyTorch's on the same machine: see README.md. Installs PyTorch into
# target/venv-pytorch the first time: from PyTorch's own index for CPUs (200 MB), or, where that
# cannot be reached, from PyPI (3 GB with the CUDA libraries that it brings along and that are not used).
#
#   trainer/train/benches/against_pytorch.sh [THREADS [STEPS]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
threads=${1:-$(nproc)} steps=${2:-10}
target=${CARGO_TARGET_DIR:-target}
venv=$target/venv-pytorch
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet numpy
    "$venv/bin/pip" install --quiet torch --index-url https://download.pytorch.org/whl/cpu ||
        "$venv/bin/pip" install --quiet torch
fi
bench=$(cargo bench --no-run --message-format=json -p mtslvr-train --bench train_step |
    sed -n 's/.*"executable":"\([^"]*train_step[^"]*\)".*/\1/p' | tail -1)
# Parallel adapters: two passes and the most operators. The presets themselves have other adapters.
parallel='--set backbone.adapters.kind=parallel'
small="$parallel --set backbone.stages=[{width=16,blocks=1,stride=2},{width=32,blocks=1,stride=2},{width=64,blocks=1,stride=2},{width=96,blocks=1,stride=1}]"
wide="$parallel --set backbone.stem.width=32 --set backbone.stages=[{width=32,blocks=1,stride=2},{width=64,blocks=1,stride=2},{width=128,blocks=1,stride=2},{width=256,blocks=1,stride=2}] --set backbone.output.bands=1"
RAYON_NUM_THREADS=$threads exec "$venv/bin/python" trainer/train/benches/against_pytorch.py \
    --bench "$bench" --threads "$threads" --steps "$steps" \
    "edge-s 64 20 $small" "edge-s 64 20 $wide" "edge-m 64 20 $parallel" 'resnet18 16'
