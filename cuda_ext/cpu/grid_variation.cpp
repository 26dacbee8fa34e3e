// Smoothness of multiresolution grids, and its gradient, on the CPU.
#include "grid_packets.h"

namespace geneface {
namespace {

constexpr int64_t kChunk = 64;  // packets of one task

// Visit the differences of one sample: visit(row here, row there, feature, difference).
template <int D, int C, class Visit>
GENEFACE_INLINE void visit_differences(const float* rows, const GridPacket<D>& packet, bool dense, int i, Visit visit) {
    const size_t here = corner_row<D>(packet, dense, 0, i);
    for (int d = 0; d < D; ++d) {
        const size_t there = corner_row<D>(packet, dense, 1 << d, i);
        for (int c = 0; c < C; ++c) visit(here, there, c, rows[there * C + c] - rows[here * C + c]);
    }
}

}  // namespace
}  // namespace geneface

int geneface_grid_total_variation(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                                  intptr_t context) {
    using namespace geneface;
    return with_shape(*grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        parallel_ranges(packets_of(n), kChunk, static_cast<int>(context), [&](int64_t begin, int64_t end) {
            alignas(64) float positions[kChunk * 3 * kPacket];
            for (int64_t p = begin; p < end; ++p) read_packet<D>(x, p, n, positions + (p - begin) * D * kPacket);
            for (int l = 0; l < grid->levels; ++l) {
                const GridLevel level = make_level(*grid, l);
                const float* rows = table + level.offset * C;
                visit_packets<D>(positions, level, begin, end, [&](int64_t p, const GridPacket<D>& packet) {
                    for (int i = 0; i < packet_size(p, n); ++i) {
                        float total = 0.f;
                        visit_differences<D, C>(rows, packet, level.mask == ~0u, i, [&](size_t, size_t, int, float by) {
                            total += by * by;
                        });
                        float& target = out[p * kPacket + i];
                        target = l == 0 ? total : target + total;
                    }
                });
            }
        });
        return 0;
    });
}

int geneface_grid_total_variation_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                           const float* grad_out, float* grad_table, int64_t*, intptr_t context) {
    using namespace geneface;
    const int threads = static_cast<int>(context);
    return with_shape(*grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        const std::vector<float> positions = read_packets<D>(x, n, threads);
        const auto add = [&](int, const GridLevel& level, const RowShare& share, float* sums) {
            const float* rows = table + level.offset * C;
            visit_packets<D>(positions.data(), level, 0, packets_of(n), [&](int64_t p, const GridPacket<D>& packet) {
                for (int i = 0; i < packet_size(p, n); ++i) {
                    const float scale = 2.f * grad_out[p * kPacket + i];
                    visit_differences<D, C>(rows, packet, level.mask == ~0u, i,
                                            [&](size_t here, size_t there, int c, float by) {
                                                if (share.has(here)) sums[here * C + c] -= scale * by;
                                                if (share.has(there)) sums[there * C + c] += scale * by;
                                            });
                }
            });
        };
        sum_rows(*grid, C, grad_table, threads, add);
        return 0;
    });
}
