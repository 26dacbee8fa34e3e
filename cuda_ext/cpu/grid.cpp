// Multiresolution grid on the CPU.
//
// Work is cut so that one level's rows (at most a few hundred KiB) stay in a core's cache: all samples
// of a level before the next level. In the gradient of the table one thread owns a whole level and adds
// samples in order, so that there are no atomics and the sum does not depend on the number of threads.
#include <vector>

#include "../include/grid.h"
#include "parallel.h"

namespace geneface {
namespace {

constexpr int kBlock = 64;          // samples whose rows and weights are worked out together, in vectors
constexpr int64_t kChunk = 1 << 13;  // samples of one task

// Rows and weights of all corners of a block of samples, corner by corner.
template <int D>
struct Block {
    uint32_t row[1 << D][kBlock];
    float weight[1 << D][kBlock];
    float fraction[D][kBlock];
};

template <int D, bool Hashed>
void locate(const float* GENEFACE_RESTRICT x, int64_t n, int count, const GridLevel& level,
            Block<D>& GENEFACE_RESTRICT block) {
    const uint32_t resolution = level.resolution, mask = level.mask;
    const uint32_t stride[3] = {level.stride[0], level.stride[1], level.stride[2]};
    uint32_t cell[D][kBlock];
    for (int d = 0; d < D; ++d) {
#pragma omp simd
        for (int i = 0; i < count; ++i) grid_cell(x[d * n + i], resolution, cell[d][i], block.fraction[d][i]);
    }
    for (int corner = 0; corner < 1 << D; ++corner) {
#pragma omp simd
        for (int i = 0; i < count; ++i) {
            uint32_t place[D];
            float fraction[D];
            for (int d = 0; d < D; ++d) place[d] = cell[d][i], fraction[d] = block.fraction[d][i];
            block.row[corner][i] = grid_row<D, Hashed>(place, corner, stride, mask);
            block.weight[corner][i] = grid_weight<D>(fraction, corner);
        }
    }
}

template <int D>
void locate(const float* x, int64_t n, int count, const GridLevel& level, Block<D>& block) {
    if (level.hashed)
        locate<D, true>(x, n, count, level, block);
    else
        locate<D, false>(x, n, count, level, block);
}

// x [N,D] -> [D,N], so that vectors run along samples.
std::vector<float> by_axis(const float* x, int64_t n, int dims, int threads) {
    std::vector<float> out(static_cast<size_t>(n) * dims);
    parallel_ranges(n, kChunk, threads, [&](int64_t begin, int64_t end) {
        for (int d = 0; d < dims; ++d)
            for (int64_t i = begin; i < end; ++i) out[d * n + i] = x[i * dims + d];
    });
    return out;
}

template <int D, int C>
struct Kernels {
    static void forward(const geneface_grid& grid, int64_t n, const float* x, const float* table, float* out,
                        int threads) {
        const int64_t chunks = (n + kChunk - 1) / kChunk, width = int64_t(grid.levels) * C;
        parallel_for(grid.levels * chunks, threads, [&](int64_t task) {
            const int l = static_cast<int>(task / chunks);
            const GridLevel level = make_level(grid, l);
            const float* GENEFACE_RESTRICT rows = table + level.offset * C;
            const int64_t begin = task % chunks * kChunk, end = begin + kChunk < n ? begin + kChunk : n;
            Block<D> block;
            for (int64_t first = begin; first < end; first += kBlock) {
                const int count = static_cast<int>(end - first < kBlock ? end - first : kBlock);
                locate<D>(x + first, n, count, level, block);
                for (int i = 0; i < count; ++i) {
                    float sum[C] = {};
                    for (int corner = 0; corner < 1 << D; ++corner) {
                        const float* row = rows + static_cast<size_t>(block.row[corner][i]) * C;
                        const float weight = block.weight[corner][i];
                        for (int c = 0; c < C; ++c) sum[c] += weight * row[c];
                    }
                    float* GENEFACE_RESTRICT target = out + (first + i) * width + l * C;
                    for (int c = 0; c < C; ++c) target[c] = sum[c];
                }
            }
        });
    }

    static void backward_table(const geneface_grid& grid, int64_t n, const float* x, const float* grad_out,
                               float* grad_table, int threads) {
        const int64_t width = int64_t(grid.levels) * C;
        parallel_for(grid.levels, threads, [&](int64_t task) {
            const int l = grid.levels - 1 - static_cast<int>(task);  // the slowest, finest, first
            const GridLevel level = make_level(grid, l);
            float* GENEFACE_RESTRICT rows = grad_table + level.offset * C;
            for (int64_t i = 0; i < (grid.offsets[l + 1] - level.offset) * C; ++i) rows[i] = 0.f;
            Block<D> block;
            for (int64_t first = 0; first < n; first += kBlock) {
                const int count = static_cast<int>(n - first < kBlock ? n - first : kBlock);
                locate<D>(x + first, n, count, level, block);
                for (int i = 0; i < count; ++i) {
                    const float* GENEFACE_RESTRICT source = grad_out + (first + i) * width + l * C;
                    float g[C];
                    for (int c = 0; c < C; ++c) g[c] = source[c];
                    for (int corner = 0; corner < 1 << D; ++corner) {
                        float* row = rows + static_cast<size_t>(block.row[corner][i]) * C;
                        const float weight = block.weight[corner][i];
                        for (int c = 0; c < C; ++c) row[c] += weight * g[c];
                    }
                }
            }
        });
    }

    static void backward_x(const geneface_grid& grid, int64_t n, const float* x, const float* table,
                           const float* grad_out, float* grad_x, int threads) {
        const int64_t width = int64_t(grid.levels) * C, chunk = kChunk / 4;
        parallel_ranges(n, chunk, threads, [&](int64_t begin, int64_t end) {
            std::vector<float> total(D * chunk, 0.f);  // [D,chunk], so that vectors run along samples
            Block<D> block;
            float dot[1 << D][kBlock];  // of the gradient with each corner's features
            for (int l = 0; l < grid.levels; ++l) {
                const GridLevel level = make_level(grid, l);
                const float* GENEFACE_RESTRICT rows = table + level.offset * C;
                for (int64_t first = begin; first < end; first += kBlock) {
                    const int count = static_cast<int>(end - first < kBlock ? end - first : kBlock);
                    locate<D>(x + first, n, count, level, block);
                    for (int i = 0; i < count; ++i) {
                        const float* GENEFACE_RESTRICT source = grad_out + (first + i) * width + l * C;
                        float g[C];
                        for (int c = 0; c < C; ++c) g[c] = source[c];
                        for (int corner = 0; corner < 1 << D; ++corner) {
                            const float* row = rows + static_cast<size_t>(block.row[corner][i]) * C;
                            float sum = 0.f;
                            for (int c = 0; c < C; ++c) sum += g[c] * row[c];
                            dot[corner][i] = sum;
                        }
                    }
                    const float resolution = static_cast<float>(level.resolution);
                    for (int d = 0; d < D; ++d) {
                        float* GENEFACE_RESTRICT target = total.data() + d * chunk + (first - begin);
#pragma omp simd
                        for (int i = 0; i < count; ++i) {
                            float fraction[D], sum = 0.f;
                            for (int e = 0; e < D; ++e) fraction[e] = block.fraction[e][i];
                            for (int corner = 0; corner < 1 << D; ++corner)
                                sum += dot[corner][i] * grid_weight_derivative<D>(fraction, corner, d);
                            target[i] += sum * resolution;
                        }
                    }
                }
            }
            for (int64_t i = begin; i < end; ++i)
                for (int d = 0; d < D; ++d) {
                    const bool clamped = !(x[d * n + i] >= 0.f && x[d * n + i] <= 1.f);
                    grad_x[i * D + d] = clamped ? 0.f : total[d * chunk + (i - begin)];
                }
        });
    }
};

// Call `visit` with the kernels for the grid's dimensions and features; false where there are none.
template <class Visit>
bool with_kernels(const geneface_grid& grid, Visit visit) {
    switch (grid.dims * 16 + grid.features) {
        case 2 * 16 + 1: visit(Kernels<2, 1>()); return true;
        case 2 * 16 + 2: visit(Kernels<2, 2>()); return true;
        case 2 * 16 + 4: visit(Kernels<2, 4>()); return true;
        case 2 * 16 + 8: visit(Kernels<2, 8>()); return true;
        case 3 * 16 + 1: visit(Kernels<3, 1>()); return true;
        case 3 * 16 + 2: visit(Kernels<3, 2>()); return true;
        case 3 * 16 + 4: visit(Kernels<3, 4>()); return true;
        case 3 * 16 + 8: visit(Kernels<3, 8>()); return true;
        default: return false;
    }
}

}  // namespace
}  // namespace geneface

int geneface_grid_encode(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                         intptr_t context) {
    const int threads = static_cast<int>(context);
    const std::vector<float> axes = geneface::by_axis(x, n, grid->dims, threads);
    const bool known = geneface::with_kernels(*grid, [&](auto kernels) {
        kernels.forward(*grid, n, axes.data(), table, out, threads);
    });
    return known ? 0 : -1;
}

int geneface_grid_encode_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                  const float* grad_out, float* grad_x, float* grad_table, int64_t*,
                                  intptr_t context) {
    const int threads = static_cast<int>(context);
    const std::vector<float> axes = geneface::by_axis(x, n, grid->dims, threads);
    const bool known = geneface::with_kernels(*grid, [&](auto kernels) {
        if (grad_table) kernels.backward_table(*grid, n, axes.data(), grad_out, grad_table, threads);
        if (grad_x) kernels.backward_x(*grid, n, axes.data(), table, grad_out, grad_x, threads);
    });
    return known ? 0 : -1;
}
