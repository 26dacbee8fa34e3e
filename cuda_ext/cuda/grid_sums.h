// What the grid kernels share: levels as a kernel's argument, places of samples, and sums that do not depend on the
// order of threads.
//
// Gradients of the table are summed in 64-bit fixed point, scaled by the level's largest term: integer addition
// commutes, so that the result is the same in every run, unlike atomics on floats.
#pragma once
#include "../include/grid.h"
#include "launch.h"

namespace geneface {
namespace {

struct Levels {
    GridLevel level[kMaxLevels];
};

Levels make_levels(const geneface_grid& grid) {
    Levels out{};
    for (int l = 0; l < grid.levels; ++l) out.level[l] = make_level(grid, l);
    return out;
}

// Cell, fractions and row lookup of one sample in one level.
template <int D>
struct Place {
    uint32_t cell[D];
    float fraction[D];

    __device__ Place(const float* x, const GridLevel& level) {
        for (int d = 0; d < D; ++d) grid_cell(x[d], level.resolution, cell[d], fraction[d]);
    }
    __device__ int64_t row(int corner, const GridLevel& level) const {
        return level.offset + (level.hashed ? grid_row<D, true>(cell, corner, level.stride, level.mask)
                                            : grid_row<D, false>(cell, corner, level.stride, level.mask));
    }
};

// Notes `value`'s magnitude: as integers the bits of floats sort like the floats, NaN last.
__device__ __forceinline__ void raise_peak(int64_t* peak, float value) {
    const unsigned bits = __float_as_uint(value) & 0x7fffffffu;
    // Most threads find a larger one there already, and queue for nothing.
    if (bits > static_cast<unsigned>(*static_cast<volatile int64_t*>(peak)))
        atomicMax(reinterpret_cast<unsigned long long*>(peak), static_cast<unsigned long long>(bits));
}

// Fixed-point units per unit of gradient: no more than 8 n terms of a level hit the same row.
__device__ __forceinline__ double fixed_point(int64_t peak, int64_t n) {
    return 2305843009213693952. /* 2^61 */ / (double(__uint_as_float(static_cast<unsigned>(peak))) * double(8 * n));
}

// Adds to a sum in fixed point.
__device__ __forceinline__ void add_fixed(int64_t* sum, float value, double scale) {
    atomicAdd(reinterpret_cast<unsigned long long*>(sum),
              static_cast<unsigned long long>(__double2ll_rn(double(value) * scale)));
}

// Whether a level's sums mean anything: not where all terms are zero, or one is not finite.
__device__ __forceinline__ bool summable(int64_t peak) {
    const unsigned bits = static_cast<unsigned>(peak);
    return bits != 0 && bits < 0x7f800000u;
}

// Sums back to float; a level that met NaN or infinity becomes NaN, for the caller's guard to find.
static __global__ void convert(Levels levels, int count, int64_t n, int features, int64_t values,
                        const int64_t* __restrict__ peak, const int64_t* __restrict__ sums,
                        float* __restrict__ grad_table) {
    const int64_t i = thread_index();
    if (i >= values) return;
    int l = count - 1;
    while (l > 0 && levels.level[l].offset * features > i) --l;
    const unsigned bits = static_cast<unsigned>(peak[l]);
    if (bits >= 0x7f800000u)
        grad_table[i] = NAN;
    else
        grad_table[i] = bits == 0 ? 0.f : static_cast<float>(double(sums[i]) / fixed_point(peak[l], n));
}

// Sums of one gradient of a table: scratch holds them, then each level's peak. find(levels, peak) and
// add(levels, peak, sums) launch the kernels that see all terms.
template <class Find, class Add>
int sum_table(const geneface_grid& grid, int64_t n, int features, int64_t* scratch, float* grad_table,
              intptr_t context, Find find, Add add) {
    const Levels levels = make_levels(grid);
    const int64_t values = grid.offsets[grid.levels] * features;
    int64_t* peak = scratch + values;
    int code = static_cast<int>(
        cudaMemsetAsync(scratch, 0, (values + grid.levels) * sizeof(int64_t), stream_of(context)));
    if (!code) code = find(levels, peak);
    if (!code) code = add(levels, peak, scratch);
    if (!code)
        code = launch(convert, values, context, levels, grid.levels, n, features, values, peak, scratch, grad_table);
    return code;
}

}  // namespace
}  // namespace geneface
