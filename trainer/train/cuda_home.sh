#!/usr/bin/env bash
# A CUDA 13.0 toolkit out of PyPI's wheels, enough to build the trainer's `cuda` feature on a machine
# that has neither toolkit nor GPU.
#
#   trainer/train/cuda_home.sh DIR > cuda.env
#
# Prints the environment to build in. What the build links against is empty functions under the
# libraries' names; the machine that runs the program has the real ones.
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
cudarc=$(find "$registry" -maxdepth 2 -name 'cudarc-*' -type d 2>/dev/null | sort -V | tail -1)
if [ -z "$cudarc" ]; then
    echo "no source of the crate cudarc in $registry; run \`cargo fetch\` first" >&2
    exit 1
fi

python3 -m pip download --quiet --no-deps --dest "$folder/wheels" \
    'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' \
    'nvidia-cuda-nvrtc==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-curand==10.4.0.*' >&2
for wheel in "$folder"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$folder"
done
home=$folder/nvidia/cu13
chmod +x "$home"/bin/* "$home"/nvvm/bin/*
ln -sfn lib "$home/lib64"
# Linkers look for names without a version.
for library in "$home"/lib/lib*.so.*; do
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
done

# An empty function for every symbol that cudarc declares of a library.
mkdir -p "$home/lib64/stubs"
stub() {
    local library=$1 soname=$2 module=$3
    grep -ohE '^ {12}fn [A-Za-z0-9_]+\(' "$cudarc/src/$module/sys/mod.rs" |
        sed -E 's/^ *fn ([A-Za-z0-9_]+)\(/void \1(void) {}/' | sort -u > "$folder/$library.c"
    cc -shared -fPIC -o "$home/lib64/stubs/lib$library.so" -Wl,-soname,"$soname" "$folder/$library.c"
}
stub cuda libcuda.so.1 driver
stub cublas libcublas.so.13 cublas
stub cublasLt libcublasLt.so.13 cublaslt
[ -e "$home/lib64/libcurand.so" ] || stub curand libcurand.so.10 curand
[ -e "$home/lib64/libnvrtc.so" ] || stub nvrtc libnvrtc.so.13 nvrtc

# candle's kernels for quantised language models make up most of the build, and are not used here.
cat > "$home/bin/nvcc-quick" <<SCRIPT
#!/usr/bin/env bash
for argument; do
    case "\$argument" in
        *mmq_instance* | *mmvq_gguf* | *moe_*) exec "$home/bin/nvcc" "\$@" -Ofc max ;;
    esac
done
exec "$home/bin/nvcc" "\$@"
SCRIPT
chmod +x "$home/bin/nvcc-quick"

cat <<ENVIRONMENT
export CUDA_HOME=$home CUDA_PATH=$home
export CUDA_COMPUTE_CAP=90
export NVCC=$home/bin/nvcc-quick
export PATH=$home/bin:\$PATH
ENVIRONMENT
