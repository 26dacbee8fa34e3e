// Multiresolution grid on CUDA: one thread per sample and level; neighbouring threads share a level, so
// that its rows stay in cache.
//
// Gradients of the table are summed in 64-bit fixed point, scaled by the level's largest gradient: integer
// addition commutes, so that the result is the same in every run, unlike atomics on floats.
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

template <int D, int C>
__global__ void forward(Levels levels, int count, int64_t n, const float* __restrict__ x,
                        const float* __restrict__ table, float* __restrict__ out) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    const GridLevel& level = levels.level[l];
    const Place<D> place(x + sample * D, level);
    float sum[C] = {};
    for (int corner = 0; corner < 1 << D; ++corner) {
        const float* row = table + place.row(corner, level) * C;
        const float weight = grid_weight<D>(place.fraction, corner);
        for (int c = 0; c < C; ++c) sum[c] += weight * row[c];
    }
    for (int c = 0; c < C; ++c) out[(sample * count + l) * C + c] = sum[c];
}

// Bits of the largest magnitude of each level's gradient: as integers they sort like the floats, NaN last.
template <int C>
__global__ void largest(int count, int64_t n, const float* __restrict__ grad_out, int64_t* __restrict__ peak) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int l = static_cast<int>(thread / n);
    unsigned most = 0;
    for (int c = 0; c < C; ++c) {
        const unsigned bits = __float_as_uint(grad_out[(thread % n * count + l) * C + c]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    if (most) atomicMax(reinterpret_cast<unsigned long long*>(peak + l), static_cast<unsigned long long>(most));
}

// Fixed-point units per unit of gradient: every one of a level's n * 2^D terms may hit the same row.
__device__ __forceinline__ double fixed_point(int64_t peak, int64_t n) {
    return 2305843009213693952. /* 2^61 */ / (double(__uint_as_float(static_cast<unsigned>(peak))) * double(8 * n));
}

template <int D, int C>
__global__ void scatter(Levels levels, int count, int64_t n, const float* __restrict__ x,
                        const float* __restrict__ grad_out, const int64_t* __restrict__ peak,
                        int64_t* __restrict__ sums) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    const unsigned bits = static_cast<unsigned>(peak[l]);
    if (bits == 0 || bits >= 0x7f800000u) return;  // all zero, or not finite: see `convert`
    const GridLevel& level = levels.level[l];
    const Place<D> place(x + sample * D, level);
    const double scale = fixed_point(peak[l], n);
    float g[C];
    for (int c = 0; c < C; ++c) g[c] = grad_out[(sample * count + l) * C + c];
    for (int corner = 0; corner < 1 << D; ++corner) {
        auto* row = reinterpret_cast<unsigned long long*>(sums + place.row(corner, level) * C);
        const float weight = grid_weight<D>(place.fraction, corner);
        for (int c = 0; c < C; ++c)
            atomicAdd(row + c, static_cast<unsigned long long>(__double2ll_rn(double(weight * g[c]) * scale)));
    }
}

// Sums back to float; a level that met NaN or infinity becomes NaN, for the caller's guard to find.
__global__ void convert(Levels levels, int count, int64_t n, int features, int64_t values,
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

template <int D, int C>
__global__ void gradient_of_x(Levels levels, int count, int64_t n, const float* __restrict__ x,
                              const float* __restrict__ table, const float* __restrict__ grad_out,
                              float* __restrict__ grad_x) {
    const int64_t sample = thread_index();
    if (sample >= n) return;
    float total[D] = {};
    for (int l = 0; l < count; ++l) {
        const GridLevel& level = levels.level[l];
        const Place<D> place(x + sample * D, level);
        float sum[D] = {};
        for (int corner = 0; corner < 1 << D; ++corner) {
            const float* row = table + place.row(corner, level) * C;
            float dot = 0.f;
            for (int c = 0; c < C; ++c) dot += grad_out[(sample * count + l) * C + c] * row[c];
            for (int d = 0; d < D; ++d) sum[d] += dot * grid_weight_derivative<D>(place.fraction, corner, d);
        }
        for (int d = 0; d < D; ++d) total[d] += sum[d] * static_cast<float>(level.resolution);
    }
    for (int d = 0; d < D; ++d) {
        const float at = x[sample * D + d];
        grad_x[sample * D + d] = at >= 0.f && at <= 1.f ? total[d] : 0.f;  // clamped outside
    }
}

template <int D, int C>
struct Kernels {
    static int encode(const geneface_grid& grid, int64_t n, const float* x, const float* table, float* out,
                      intptr_t context) {
        return launch(forward<D, C>, n * grid.levels, context, make_levels(grid), grid.levels, n, x, table, out);
    }

    static int backward(const geneface_grid& grid, int64_t n, const float* x, const float* table,
                        const float* grad_out, float* grad_x, float* grad_table, int64_t* scratch,
                        intptr_t context) {
        const Levels levels = make_levels(grid);
        const int count = grid.levels;
        int code = 0;
        if (grad_table) {
            const int64_t values = grid.offsets[count] * C;
            int64_t* peak = scratch + values;
            code = static_cast<int>(cudaMemsetAsync(scratch, 0, (values + count) * sizeof(int64_t),
                                                    reinterpret_cast<cudaStream_t>(context)));
            if (!code) code = launch(largest<C>, n * count, context, count, n, grad_out, peak);
            if (!code)
                code = launch(scatter<D, C>, n * count, context, levels, count, n, x, grad_out, peak, scratch);
            if (!code)
                code = launch(convert, values, context, levels, count, n, C, values, peak, scratch, grad_table);
        }
        if (grad_x && !code)
            code = launch(gradient_of_x<D, C>, n, context, levels, count, n, x, table, grad_out, grad_x);
        return code;
    }
};

// Call `visit` with the kernels for the grid's dimensions and features; -1 where there are none.
template <class Visit>
int with_kernels(const geneface_grid& grid, Visit visit) {
    switch (grid.dims * 16 + grid.features) {
        case 2 * 16 + 1: return visit(Kernels<2, 1>());
        case 2 * 16 + 2: return visit(Kernels<2, 2>());
        case 2 * 16 + 4: return visit(Kernels<2, 4>());
        case 2 * 16 + 8: return visit(Kernels<2, 8>());
        case 3 * 16 + 1: return visit(Kernels<3, 1>());
        case 3 * 16 + 2: return visit(Kernels<3, 2>());
        case 3 * 16 + 4: return visit(Kernels<3, 4>());
        case 3 * 16 + 8: return visit(Kernels<3, 8>());
        default: return -1;
    }
}

}  // namespace
}  // namespace geneface

int geneface_grid_encode(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                         intptr_t context) {
    return geneface::with_kernels(
        *grid, [&](auto kernels) { return kernels.encode(*grid, n, x, table, out, context); });
}

int geneface_grid_encode_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                  const float* grad_out, float* grad_x, float* grad_table, int64_t* scratch,
                                  intptr_t context) {
    return geneface::with_kernels(*grid, [&](auto kernels) {
        return kernels.backward(*grid, n, x, table, grad_out, grad_x, grad_table, scratch, context);
    });
}
