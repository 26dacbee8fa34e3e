// Gradients of the multiresolution grid encoding on the CPU.
//
// Sums over samples go by `sum_rows`, in registers as long as samples stay in a cell.
#include "grid_packets.h"

namespace geneface {
namespace {

constexpr int64_t kChunk = 64;  // packets of one task of the positions' gradient

// Bit i: sample i's corners have the rows of sample i - 1's. Not set for sample 0.
template <int D>
GENEFACE_INLINE uint32_t same_cell(const GridPacket<D>& packet, bool dense) {
    uint32_t same = 0;
    for (int i = 0; i < kPacket; i += kLanes) {
        Int differs = set1(0);
        for (int corner = 0; corner < 1 << D; corner += dense ? 2 : 1) {
            // The lane before sample 0 is of no account; reading sample 0 for it keeps within the array.
            alignas(64) uint32_t before[kLanes];
            const uint32_t* row = packet.row[corner] + i;
            if (i == 0) {
                before[0] = row[0];
                for (int j = 1; j < kLanes; ++j) before[j] = row[j - 1];
            }
            differs = differs | (load(row) ^ (i == 0 ? load(before) : load(row - 1)));
        }
        same |= bits(differs == set1(0)) << i;
    }
    return same & ~1u;
}

// Two features a row. Samples of one cell, which follow each other on a ray, are summed in registers first.
template <int D>
GENEFACE_INLINE void add_packet(const GridPacket<D>& packet, bool dense, int count, const float* grad, int64_t width,
                                const RowShare& share, float* rows, GridShape<D, 2>) {
    constexpr int kPairs = 1 << (D - 1);
    alignas(64) float weight[kPairs][kPacket], near[kPacket];
    for (int i = 0; i < kPacket; i += kLanes) {
        const Float one = set1(1.f), y = load(packet.fraction[1] + i), z = load(packet.fraction[D - 1] + i);
        store(near + i, one - load(packet.fraction[0] + i));
        for (int k = 0; k < kPairs; ++k) {
            const Float along_y = k & 1 ? y : one - y;
            store(weight[k] + i, D == 2 ? along_y : along_y * (k & 2 ? z : one - z));
        }
    }
    const uint32_t same = same_cell(packet, dense);
    for (int i = 0; i < count;) {
        const int first = i;
        Quad sums[kPairs];
        const auto term = [&](int i) {
            return repeat_pair(grad + i * width) * double_pair(near[i], packet.fraction[0][i]);
        };
        const Quad start = term(i);
        for (int k = 0; k < kPairs; ++k) sums[k] = start * spread_quad(weight[k][i]);
        for (++i; i < count && (same >> i & 1); ++i) {
            const Quad next = term(i);
            for (int k = 0; k < kPairs; ++k) sums[k] = fma(next, spread_quad(weight[k][i]), sums[k]);
        }
        for (int k = 0; k < kPairs; ++k) {
            const size_t a = packet.row[2 * k][first], b = dense ? a + 1 : packet.row[2 * k + 1][first];
            float *p = rows + 2 * a, *q = rows + 2 * b;
            if (share.all && dense) {
                store_quad(p, load_quad(p) + sums[k]);
            } else if (share.all && a != b) {
                store_halves(p, q, load_halves(p, q) + sums[k]);
            } else {
                float values[4];
                store_quad(values, sums[k]);
                if (share.has(a)) p[0] += values[0], p[1] += values[1];
                if (share.has(b)) q[0] += values[2], q[1] += values[3];
            }
        }
    }
}

template <int D, int C>
GENEFACE_INLINE void add_packet(const GridPacket<D>& packet, bool dense, int count, const float* grad, int64_t width,
                                const RowShare& share, float* rows, GridShape<D, C>) {
    for (int i = 0; i < count; ++i)
        for (int corner = 0; corner < 1 << D; ++corner) {
            const size_t place = corner_row<D>(packet, dense, corner, i);
            if (!share.has(place)) continue;
            const float weight = corner_weight<D>(packet, corner, i);
            for (int c = 0; c < C; ++c) rows[place * C + c] += weight * grad[i * width + c];
        }
}

template <class Shape>
void gradient_of_table(const geneface_grid& grid, int64_t n, const float* positions, const float* grad_out,
                       float* grad_table, int threads, Shape shape) {
    constexpr int D = Shape::D, C = Shape::C;
    const int64_t width = int64_t(grid.levels) * C;
    sum_rows(grid, C, grad_table, threads, [&](int l, const GridLevel& level, const RowShare& share, float* rows) {
        const bool dense = level.mask == ~0u;
        visit_packets<D>(positions, level, 0, packets_of(n), [&](int64_t p, const GridPacket<D>& packet) {
            add_packet<D>(packet, dense, packet_size(p, n), grad_out + p * kPacket * width + l * C, width, share, rows,
                          shape);
        });
    });
}

// Gradient with respect to the fractions, from two features a row, added to total [D,kPacket] times `scale`.
template <int D>
GENEFACE_INLINE void add_slopes(const float* rows, const GridPacket<D>& packet, bool dense, int count,
                                const float* grad, int64_t width, float scale, float* total, GridShape<D, 2>) {
    using namespace grid_detail;
    for (int i = 0; i < kPacket && i < count; i += kLanes) {
        const Float x = load(packet.fraction[0] + i), y = load(packet.fraction[1] + i);
        const Float z = load(packet.fraction[D - 1] + i);
        Float value[4], slope_y[4], slope_z[4];  // of one sample in each group, for both corners along x
        const auto sample = [&](int j, Float y, Float z) {
            Float sides[1 << (D - 1)];
            for (int k = 0; k < 1 << (D - 1); ++k) {
                const uint32_t *row = packet.row[2 * k] + i + j, *next = packet.row[2 * k + 1] + i + j;
                sides[k] = dense ? load_sides<true>(rows, row, next) : load_sides<false>(rows, row, next);
            }
            if constexpr (D == 3) {
                const Float near = lerp(sides[0], sides[1], y), far = lerp(sides[2], sides[3], y);
                value[j] = lerp(near, far, z);
                slope_y[j] = lerp(sides[1] - sides[0], sides[3] - sides[2], z);
                slope_z[j] = far - near;
            } else {
                value[j] = lerp(sides[0], sides[1], y);
                slope_y[j] = sides[1] - sides[0];
            }
        };
        sample(0, spread<0>(y), spread<0>(z));
        sample(1, spread<1>(y), spread<1>(z));
        sample(2, spread<2>(y), spread<2>(z));
        sample(3, spread<3>(y), spread<3>(z));
        Quad low[kLanes / 4], high[kLanes / 4];
        for (int g = 0; g < kLanes / 4; ++g) {
            // Lanes without a sample read the last one's gradient: their sums are never looked at.
            const auto at = [&](int j) { return grad + (i + 4 * g + j < count ? i + 4 * g + j : count - 1) * width; };
            low[g] = load_halves(at(0), at(1));
            high[g] = load_halves(at(2), at(3));
        }
        const Float first = set1(scale) * evens(join(low), join(high));
        const Float second = set1(scale) * odds(join(low), join(high));
        const auto add = [&](int d, Float of_first, Float of_second) {
            float* target = total + d * kPacket + i;
            store(target, fma(first, of_first, fma(second, of_second, load(target))));
        };
        transpose4(value[0], value[1], value[2], value[3]);
        add(0, value[2] - value[0], value[3] - value[1]);
        transpose4(slope_y[0], slope_y[1], slope_y[2], slope_y[3]);
        add(1, lerp(slope_y[0], slope_y[2], x), lerp(slope_y[1], slope_y[3], x));
        if constexpr (D == 3) {
            transpose4(slope_z[0], slope_z[1], slope_z[2], slope_z[3]);
            add(2, lerp(slope_z[0], slope_z[2], x), lerp(slope_z[1], slope_z[3], x));
        }
    }
}

template <int D, int C>
GENEFACE_INLINE void add_slopes(const float* rows, const GridPacket<D>& packet, bool dense, int count,
                                const float* grad, int64_t width, float scale, float* total, GridShape<D, C>) {
    for (int i = 0; i < count; ++i) {
        float fraction[D];
        for (int d = 0; d < D; ++d) fraction[d] = packet.fraction[d][i];
        for (int corner = 0; corner < 1 << D; ++corner) {
            const float* row = rows + corner_row<D>(packet, dense, corner, i) * C;
            float dot = 0.f;
            for (int c = 0; c < C; ++c) dot += grad[i * width + c] * row[c];
            for (int d = 0; d < D; ++d)
                total[d * kPacket + i] += scale * dot * grid_weight_derivative<D>(fraction, corner, d);
        }
    }
}

template <class Shape>
void gradient_of_positions(const geneface_grid& grid, int64_t n, const float* positions, const float* table,
                           const float* grad_out, float* grad_x, int threads, Shape shape) {
    constexpr int D = Shape::D, C = Shape::C;
    const int64_t width = int64_t(grid.levels) * C;
    parallel_ranges(packets_of(n), kChunk, threads, [&](int64_t begin, int64_t end) {
        alignas(64) float totals[kChunk * 3 * kPacket] = {};
        const float* x = positions + begin * D * kPacket;
        for (int l = 0; l < grid.levels; ++l) {
            const GridLevel level = make_level(grid, l);
            const bool dense = level.mask == ~0u;
            visit_packets<D>(x, level, begin, end, [&](int64_t p, const GridPacket<D>& packet) {
                add_slopes<D>(table + level.offset * C, packet, dense, packet_size(p, n),
                              grad_out + p * kPacket * width + l * C, width, static_cast<float>(level.resolution),
                              totals + (p - begin) * D * kPacket, shape);
            });
        }
        for (int64_t p = begin; p < end; ++p)
            for (int i = 0; i < packet_size(p, n); ++i)
                for (int d = 0; d < D; ++d) {
                    const int64_t place = ((p - begin) * D + d) * kPacket + i;
                    const bool clamped = !(x[place] >= 0.f && x[place] <= 1.f);
                    grad_x[(p * kPacket + i) * D + d] = clamped ? 0.f : totals[place];
                }
    });
}

}  // namespace
}  // namespace geneface

int geneface_grid_encode_backward(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                  const float* grad_out, float* grad_x, float* grad_table, int64_t*,
                                  intptr_t context) {
    using namespace geneface;
    const int threads = static_cast<int>(context);
    return with_shape(*grid, [&](auto shape) {
        const std::vector<float> positions = read_packets<decltype(shape)::D>(x, n, threads);
        if (grad_table) gradient_of_table(*grid, n, positions.data(), grad_out, grad_table, threads, shape);
        if (grad_x) gradient_of_positions(*grid, n, positions.data(), table, grad_out, grad_x, threads, shape);
        return 0;
    });
}
