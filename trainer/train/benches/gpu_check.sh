#!/usr/bin/env bash
# Checks the trainer on a machine with a CUDA GPU, out of the archive that `cargo xtask gpu-check` makes.
#
#   gpu_check.sh check OUT [SECONDS]        operators, views, steps against PyTorch, profile: within 3 minutes
#   gpu_check.sh train OUT NAME [OPTION..]  `mtslvr train` with these options: within 5 minutes
#
# The results go into OUT/gpu.json, the rest of what was printed into OUT/log.txt, and a training's weights
# and metrics into OUT/NAME. SECONDS are the comparison's with PyTorch: the check takes up to 70 more than
# these, which are 110 by default. A part that fails is in the results as its error. GPU_CHECK_PYTHON names a
# Python with PyTorch; by default python3 is tried, then those in usual places.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mode=${1-} out=${2-}
usage() {
    sed -n 's/^# \{0,1\}//; 4,5p' "${BASH_SOURCE[0]}" >&2
    exit 2
}
[ -n "$out" ] || usage
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2

# The parts' results and messages, and what a training writes.
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

# Prints the Python that has PyTorch; any other where none has, so that the rest of the check runs.
find_python() {
    local python
    for python in ${GPU_CHECK_PYTHON:+"$GPU_CHECK_PYTHON"} python3 python \
        /opt/*/bin/python3 /opt/*/.venv/bin/python3 /opt/*/venv/bin/python3; do
        if "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    command -v python3
}

# Prints the folders in which CUDA's libraries lie, the Python environment's own first.
library_folders() {
    "$python" - <<'PYTHON'
import glob, importlib.util, os, site, sys

roots = list(sys.path) + site.getsitepackages()
torch = importlib.util.find_spec("torch")
found = []
if torch is not None:
    folder = os.path.dirname(torch.origin)
    roots.insert(0, os.path.dirname(folder))
    found.append(os.path.join(folder, "lib"))
for root in dict.fromkeys(roots):
    found += sorted(glob.glob(os.path.join(root, "nvidia", "*", "lib")))
found += ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/local/cuda/lib64"]
print(":".join(folder for folder in dict.fromkeys(found) if os.path.isdir(folder)))
PYTHON
}

# Runs a part for so many seconds at most: what it prints becomes its result. It is ended by this signal, and
# killed so many seconds later.
signal=TERM grace=2
part() {
    local name=$1 limit=$2 start=$SECONDS status
    shift 2
    echo "== $name" >&2
    timeout --signal="$signal" --kill-after="$grace" "$limit" "$@" \
        >"$parts/$name.out" 2>"$parts/$name.log" </dev/null
    status=$?
    cat "$parts/$name.log" >&2
    echo "$status $((SECONDS - start)) $limit" >"$parts/$name.status"
}

check() {
    local begin=$SECONDS network preset pairs left wanted=$1 budget
    local end=$((wanted + 65))
    local networks=(edge-s:512 edge-m:512 resnet18:256)
    # Reads PyTorch's files once, before the programs that need them start all at the same time.
    timeout 30 "$python" -c 'import torch._inductor.compile_fx' >/dev/null 2>&1 &
    part operators 45 "$here/gpu-check" operators
    part views 20 "$here/gpu-check" views 512
    # The profiles have the last 30 seconds.
    budget=$((end - 38 - (SECONDS - begin)))
    if [ "$budget" -gt "$wanted" ]; then budget=$wanted; fi
    part comparison $((budget + 8)) "$python" "$here/gpu_against_pytorch.py" \
        --gpu-check "$here/gpu-check" --budget "$budget"
    for network in "${networks[@]}"; do
        preset=${network%:*} pairs=${network#*:}
        left=$((end - (SECONDS - begin)))
        if [ "$left" -gt 12 ]; then left=12; elif [ "$left" -lt 1 ]; then left=1; fi
        part "profile-$preset" "$left" "$here/gpu-check" profile "$preset" "$pairs" bf16
    done
}

train() {
    local name=$1 file
    shift
    # An interrupted training keeps what it learned. Models are made where the weights come back to.
    signal=INT grace=15
    part "training-$name" 280 "$here/mtslvr" train --json --no-export --set train.device=cuda \
        --out "$parts/run" "$@"
    printf '%s\n' "$@" >"$parts/training-$name.options"
    mkdir -p "$out/$name"
    for file in weights.safetensors metrics.csv config.toml; do
        [ ! -e "$parts/run/$file" ] || cp "$parts/run/$file" "$out/$name/"
    done
}

python=$(find_python) || { echo "no python3 in the path" >&2; exit 2; }
LD_LIBRARY_PATH=$(library_folders)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH PYTHONUNBUFFERED=1
case $mode in
    check)
        case ${3-110} in '' | *[!0-9]*) usage ;; esac
        check "${3-110}"
        ;;
    train)
        case ${3-} in '' | -* | */*) usage ;; esac
        train "${@:3}"
        ;;
    *) usage ;;
esac
cat "$parts"/*.log >>"$out/log.txt"
"$python" "$here/gpu_report.py" "$out" "$parts"
