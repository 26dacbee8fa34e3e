// Multiresolution grid on CUDA: one thread per sample and level; neighbouring threads share a level, so
// that its rows stay in cache.
#include "../include/grid.h"

#include "../include/field.h"
#include "grid_sums.h"
#include "launch.h"

namespace geneface {
namespace {

template <int D, int C, class Entry>
__global__ void forward(Levels levels, int count, int64_t n, const float* __restrict__ x,
                        const Entry* __restrict__ table, float* __restrict__ out) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    const GridLevel& level = levels.level[l];
    const Place<D> place(x + sample * D, level);
    float sum[C] = {};
    for (int corner = 0; corner < 1 << D; ++corner) {
        const Entry* row = table + place.row(corner, level) * C;
        const float weight = grid_weight<D>(place.fraction, corner);
        for (int c = 0; c < C; ++c) sum[c] += weight * table_value(row, c);
    }
    for (int c = 0; c < C; ++c) out[(sample * count + l) * C + c] = sum[c];
}

template <int C>
__global__ void largest(int count, int64_t n, const float* __restrict__ grad_out, int64_t* __restrict__ peak) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int l = static_cast<int>(thread / n);
    for (int c = 0; c < C; ++c) raise_peak(peak + l, grad_out[(thread % n * count + l) * C + c]);
}

template <int D, int C>
__global__ void scatter(Levels levels, int count, int64_t n, const float* __restrict__ x,
                        const float* __restrict__ grad_out, const int64_t* __restrict__ peak,
                        int64_t* __restrict__ sums) {
    const int64_t thread = thread_index();
    if (thread >= n * count) return;
    const int64_t sample = thread % n;
    const int l = static_cast<int>(thread / n);
    if (!summable(peak[l])) return;
    const GridLevel& level = levels.level[l];
    const Place<D> place(x + sample * D, level);
    const double scale = fixed_point(peak[l], n);
    float g[C];
    for (int c = 0; c < C; ++c) g[c] = grad_out[(sample * count + l) * C + c];
    for (int corner = 0; corner < 1 << D; ++corner) {
        int64_t* row = sums + place.row(corner, level) * C;
        const float weight = grid_weight<D>(place.fraction, corner);
        for (int c = 0; c < C; ++c) add_fixed(row + c, weight * g[c], scale);
    }
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

template <class Entry>
int encode(const geneface_grid& grid, int64_t n, const float* x, const Entry* table, float* out, intptr_t context) {
    return with_shape(grid, [&](auto shape) {
        using Kernels = decltype(shape);
        return launch(forward<Kernels::D, Kernels::C, Entry>, n * grid.levels, context, make_levels(grid), grid.levels,
                      n, x, table, out);
    });
}

}  // namespace
}  // namespace geneface

int geneface_grid_encode(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                         intptr_t context) {
    return geneface::encode(*grid, n, x, table, out, context);
}

int geneface_grid_encode_bf16(const geneface_grid* grid, int64_t n, const float* x, const uint16_t* table, float* out,
                              intptr_t context) {
    return geneface::encode(*grid, n, x, table, out, context);
}

int geneface_grid_encode_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                  const float* grad_out, float* grad_x, float* grad_table, int64_t* scratch,
                                  intptr_t context) {
    using namespace geneface;
    return with_shape(*grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        const int count = grid->levels;
        int code = 0;
        if (grad_table)
            code = sum_table(
                *grid, n, C, scratch, grad_table, context,
                [&](const Levels&, int64_t* peak) {
                    return launch(largest<C>, n * count, context, count, n, grad_out, peak);
                },
                [&](const Levels& levels, const int64_t* peak, int64_t* sums) {
                    return launch(scatter<D, C>, n * count, context, levels, count, n, x, grad_out, peak, sums);
                });
        if (grad_x && !code)
            code = launch(gradient_of_x<D, C>, n, context, make_levels(*grid), count, n, x, table, grad_out, grad_x);
        return code;
    });
}
