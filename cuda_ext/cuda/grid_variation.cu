// Smoothness of multiresolution grids, and its gradient, on CUDA: one thread per sample, or sample and level.
#include "../include/geneface_ops.h"
#include "grid_sums.h"
#include "launch.h"

namespace geneface {
namespace {

// Call visit(row here, row there, feature, difference) for the neighbours of a sample's cell corner in one level.
template <int D, int C, class Visit>
__device__ __forceinline__ void visit_differences(const GridLevel& level, const float* x, const float* table,
                                                  Visit visit) {
    const Place<D> place(x, level);
    const int64_t here = place.row(0, level);
    for (int d = 0; d < D; ++d) {
        const int64_t there = place.row(1 << d, level);
        for (int c = 0; c < C; ++c) visit(here, there, c, table[there * C + c] - table[here * C + c]);
    }
}

template <int D, int C>
__global__ void variation(Levels levels, int count, int64_t n, const float* __restrict__ x,
                          const float* __restrict__ table, float* __restrict__ out) {
    const int64_t sample = thread_index();
    if (sample >= n) return;
    float sum = 0.f;
    for (int l = 0; l < count; ++l) {
        float total = 0.f;
        visit_differences<D, C>(levels.level[l], x + sample * D, table,
                                [&](int64_t, int64_t, int, float by) { total += by * by; });
        sum += total;
    }
    out[sample] = sum;
}

template <int D, int C>
__global__ void largest_difference(Levels levels, int count, int64_t n, const float* __restrict__ x,
                                   const float* __restrict__ table, const float* __restrict__ grad_out,
                                   int64_t* __restrict__ peak) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    const float scale = 2.f * grad_out[sample];
    visit_differences<D, C>(levels.level[l], x + sample * D, table,
                            [&](int64_t, int64_t, int, float by) { raise_peak(peak + l, scale * by); });
}

template <int D, int C>
__global__ void scatter_differences(Levels levels, int count, int64_t n, const float* __restrict__ x,
                                    const float* __restrict__ table, const float* __restrict__ grad_out,
                                    const int64_t* __restrict__ peak, int64_t* __restrict__ sums) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    if (!summable(peak[l])) return;
    const double units = fixed_point(peak[l], n);
    const float scale = 2.f * grad_out[sample];
    visit_differences<D, C>(levels.level[l], x + sample * D, table, [&](int64_t here, int64_t there, int c, float by) {
        add_fixed(sums + here * C + c, -scale * by, units);
        add_fixed(sums + there * C + c, scale * by, units);
    });
}

}  // namespace
}  // namespace geneface

int geneface_grid_total_variation(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                                  intptr_t context) {
    using namespace geneface;
    return with_shape(*grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        return launch(variation<D, C>, n, context, make_levels(*grid), grid->levels, n, x, table, out);
    });
}

int geneface_grid_total_variation_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                           const float* grad_out, float* grad_table, int64_t* scratch,
                                           intptr_t context) {
    using namespace geneface;
    return with_shape(*grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        const int count = grid->levels;
        return sum_table(
            *grid, n, C, scratch, grad_table, context,
            [&](const Levels& levels, int64_t* peak) {
                return launch(largest_difference<D, C>, n * count, context, levels, count, n, x, table, grad_out,
                              peak);
            },
            [&](const Levels& levels, const int64_t* peak, int64_t* sums) {
                return launch(scatter_differences<D, C>, n * count, context, levels, count, n, x, table, grad_out,
                              peak, sums);
            });
    });
}
