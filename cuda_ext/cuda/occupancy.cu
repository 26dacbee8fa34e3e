// Occupancy grids on CUDA: one thread per point, cell or byte. Built with --fmad=false.
#include "../include/geneface_ops.h"
#include "../include/occupancy.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::thread_index;

__global__ void pack(int64_t k, const float* __restrict__ density, float threshold, uint8_t* __restrict__ bits) {
    const int64_t i = thread_index();
    if (8 * i < k) bits[i] = geneface::packed_byte(density, k, threshold, i);
}

// Bits of floats sort as integers do where the floats are not negative; the smaller of two negative ones has the
// larger bits. So the order of arrival does not matter.
__device__ void keep_larger(float* place, float value) {
    if (value >= 0.f)
        atomicMax(reinterpret_cast<int*>(place), __float_as_int(value + 0.f));  // 0 added: -0 becomes 0
    else if (value < 0.f)
        atomicMin(reinterpret_cast<unsigned*>(place), __float_as_uint(value));
}

__global__ void record(int64_t n, const float* __restrict__ x, const float* __restrict__ weights,
                       const float* __restrict__ aabb, int size, float* seen) {
    const int64_t i = thread_index();
    if (i < n) keep_larger(seen + geneface::cell_of_point(x + 3 * i, aabb, size), weights[i]);
}

__global__ void fade(int64_t cells, float decay, float threshold, float* __restrict__ seen,
                     uint8_t* __restrict__ flags) {
    const int64_t i = thread_index();
    if (i >= cells) return;
    seen[i] *= decay;
    flags[i] = seen[i] > threshold;
}

__global__ void grow(int size, int64_t cells, const uint8_t* __restrict__ flags, const uint8_t* __restrict__ hull,
                     int margin, uint8_t* __restrict__ bits) {
    const int64_t i = thread_index();
    if (8 * i >= cells) return;
    unsigned byte = 0;
    for (int64_t bit = 0; bit < 8 && 8 * i + bit < cells; ++bit) {
        const int64_t cell = 8 * i + bit;
        byte |= static_cast<unsigned>(hull[cell] && geneface::any_within(flags, size, cell, margin)) << bit;
    }
    bits[i] = static_cast<uint8_t>(byte);
}

}  // namespace

int geneface_pack_bits(int64_t k, const float* density, float threshold, uint8_t* bits, intptr_t context) {
    return launch(pack, (k + 7) / 8, context, k, density, threshold, bits);
}

int geneface_occupancy_record(int64_t n, const float* x, const float* weights, const float* aabb, int32_t grid_size,
                              float* seen, intptr_t context) {
    return launch(record, n, context, n, x, weights, aabb, grid_size, seen);
}

int geneface_occupancy_update(int32_t grid_size, float* seen, const uint8_t* hull, float decay, float threshold,
                              int32_t margin, uint8_t* bits, uint8_t* scratch, intptr_t context) {
    const int64_t cells = int64_t(grid_size) * grid_size * grid_size;
    const int code = launch(fade, cells, context, cells, decay, threshold, seen, scratch);
    return code ? code : launch(grow, (cells + 7) / 8, context, grid_size, cells, scratch, hull, margin, bits);
}
