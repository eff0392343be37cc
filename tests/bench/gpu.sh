#!/usr/bin/env bash
# Everything that needs a GPU, in one run of less than ten minutes once libtorch is there: builds the CUDA kernels for the card of this machine, tests them against the
# reference, runs a few calls under compute-sanitizer, and times them against libtorch's attention.
#
#   tests/bench/gpu.sh [FOLDER]     reports go to FOLDER (default: build/gpu): tests.xml, sanitizer.log, attention.json (and attention-without-wgmma.json)
#
# ATTELIER_GPU_ARCH (such as 90) overrides the architecture; TORCH names the torch folder of an installed wheel, instead of third_party/bootstrap --cuda.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(realpath -m "${1:-build/gpu}")
mkdir -p "$folder"

command -v nvidia-smi > /dev/null || { echo "gpu.sh: there is no NVIDIA driver on this machine (nvidia-smi); nothing was built" >&2; exit 2; }
architecture=${ATTELIER_GPU_ARCH:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d '. ')}
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv | tee "$folder/device.txt"

options=("-DCMAKE_CUDA_ARCHITECTURES=$architecture-real")
if [ -n "${TORCH:-}" ]; then options+=("-DATTELIER_TORCH_DIR=$TORCH"); else third_party/bootstrap --cuda; fi
cmake --preset cuda -B build/cuda-here "${options[@]}" > /dev/null
cmake --build build/cuda-here --target attelier_cuda cuda_device_test cuda_attention

export ATTELIER_CUDA_MODULE=$PWD/build/cuda-here/kernels/libattelier_cuda.so
test=build/cuda-here/tests/kernels/cuda/cuda_device_test
failed=0
timeout 200 "$test" --gtest_output="xml:$folder/tests.xml" || failed=1
# Tests that skip themselves on a machine with a GPU have tested nothing.
if ! grep -q 'result="completed"' "$folder/tests.xml" || grep -q 'result="skipped"' "$folder/tests.xml"; then
  echo "gpu.sh: the tests did not run on the GPU; see above for the reason" >&2
  failed=1
fi
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck; do
    timeout 90 compute-sanitizer --tool "$tool" --error-exitcode 9 "$test" --gtest_filter='*AFewCalls' >> "$folder/sanitizer.log" 2>&1 || { echo "gpu.sh: $tool complains or ran out of time; see $folder/sanitizer.log" >&2; failed=1; }
  done
else
  echo "gpu.sh: compute-sanitizer is not installed; that check is left out" | tee "$folder/sanitizer.log" >&2
fi
timeout 120 build/cuda-here/tests/bench/cuda_attention "$folder/attention.json" || failed=1
# On compute capability 9.0: the same without its own kernels.
if [ "$architecture" = 90 ]; then ATTELIER_CUDA_WGMMA=0 timeout 120 build/cuda-here/tests/bench/cuda_attention "$folder/attention-without-wgmma.json" || failed=1; fi
echo "gpu.sh: reports are in $folder"
exit $failed
