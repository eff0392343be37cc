// Starts the kernels on a stream. Host code that needs no nvcc; the kernels themselves are compiled from *.cu and attend.cu.in.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cpu/map_call.h"
#include "kernels/cuda/execute.h"

namespace attelier::kernels::cuda {

struct RegionPlan;

/// The attention kernel for T (BFloat16, Float16, float) and width W of arguments.h.
template <typename T, int W>
cudaError_t launch_attend(Bundle bundle, const TileSize& tile, const Blocks& blocks, const Arguments& a, cudaStream_t stream);

/// The kernel of warpgroups.h for T (BFloat16, Float16) and a width of kWarpgroupWidths, on compute capability 9.0.
template <typename T, int W>
cudaError_t launch_warpgroups(bool listed, const TileSize& tile, const Blocks& blocks, const Arguments& a, const KeyMaps& maps, cudaStream_t stream);

template <typename T>
cudaError_t launch_combine(int64_t rows, const Arguments& a, cudaStream_t stream);

template <typename T>
cudaError_t launch_probe(int index, const Blocks& blocks, const Arguments& a, cudaStream_t stream);

/// For T and width W of regions.h.
template <typename T, int W>
cudaError_t launch_regions(const RegionPlan& plan, const cpu::RegionView& view, cudaStream_t stream);

template <typename T>
cudaError_t launch_warp(const cpu::WarpCall& call, cudaStream_t stream);

cudaError_t launch_deliver(const Parcel& parcel, cudaStream_t stream);
cudaError_t launch_order(const Arguments& a, int32_t* order, int32_t* class_count, cudaStream_t stream);

}  // namespace attelier::kernels::cuda
