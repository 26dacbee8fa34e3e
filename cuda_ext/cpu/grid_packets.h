// What the grid kernels share: positions cut into packets, and the choice of a kernel by the grid's shape.
#pragma once
#include <algorithm>
#include <vector>

#include "grid_block.h"
#include "parallel.h"

namespace geneface {

constexpr int64_t packets_of(int64_t samples) { return (samples + kPacket - 1) / kPacket; }

// Samples of a packet that exist: the last packet of n samples may have fewer than kPacket.
inline int packet_size(int64_t packet, int64_t n) {
    return static_cast<int>(n - packet * kPacket < kPacket ? n - packet * kPacket : kPacket);
}

// Positions x [n,D] of one packet -> out [D,kPacket]; lanes without a sample are 0.
template <int D>
GENEFACE_INLINE void read_packet(const float* x, int64_t packet, int64_t n, float* out) {
    const int count = packet_size(packet, n);
    const float* source = x + packet * kPacket * D;
    for (int i = 0; i < kPacket; ++i)
        for (int d = 0; d < D; ++d) out[d * kPacket + i] = i < count ? source[i * D + d] : 0.f;
}

// All positions as packets, [packets,D,kPacket].
template <int D>
std::vector<float> read_packets(const float* x, int64_t n, int threads) {
    std::vector<float> out(static_cast<size_t>(packets_of(n)) * D * kPacket);
    parallel_ranges(packets_of(n), 256, threads, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) read_packet<D>(x, p, n, out.data() + p * D * kPacket);
    });
    return out;
}

// Row of a corner of sample i, which `locate_packet` leaves out where the level is dense and the corner odd.
template <int D>
GENEFACE_INLINE size_t corner_row(const GridPacket<D>& packet, bool dense, int corner, int i) {
    return dense ? packet.row[corner & ~1][i] + (corner & 1) : packet.row[corner][i];
}

// Weight of a corner of sample i.
template <int D>
GENEFACE_INLINE float corner_weight(const GridPacket<D>& packet, int corner, int i) {
    float fraction[D];
    for (int d = 0; d < D; ++d) fraction[d] = packet.fraction[d][i];
    return grid_weight<D>(fraction, corner);
}

// Visit packets begin to end - 1 of one level: visit(packet number, GridPacket). The next packet is located
// before the present one is visited, so that its rows are there in time.
template <int D, class Visit>
GENEFACE_INLINE void visit_packets(const float* positions, const GridLevel& level, int64_t begin, int64_t end,
                                   Visit visit) {
    GridPacket<D> packets[2];
    if (begin < end) locate_packet<D>(positions, level, packets[begin & 1]);
    for (int64_t p = begin; p < end; ++p) {
        if (p + 1 < end) locate_packet<D>(positions + (p + 1 - begin) * D * kPacket, level, packets[(p + 1) & 1]);
        visit(p, packets[p & 1]);
    }
}

// Rows begin to end - 1 of the level that a task owns.
struct RowShare {
    uint32_t begin, end;
    bool all;
    bool has(size_t row) const { return all || (row >= begin && row < end); }
};

// Fill gradient rows [P,features] with sums over samples: add(level number, GridLevel, share, rows of the level)
// adds all samples, in order, to the rows of its share, which come zeroed. A task owns the rows of one level,
// or a part of them where there are more threads than levels, so that there are no atomics, no cache line
// with two writers, and sums that do not depend on the number of threads.
template <class Add>
void sum_rows(const geneface_grid& grid, int features, float* gradient, int threads, Add add) {
    const int64_t shares = (threads + grid.levels - 1) / grid.levels;
    parallel_for(grid.levels * shares, threads, [&](int64_t task) {
        const int l = grid.levels - 1 - static_cast<int>(task / shares);  // the slowest, finest, first
        const GridLevel level = make_level(grid, l);
        const int64_t size = grid.offsets[l + 1] - level.offset, part = task % shares;
        const RowShare share = {static_cast<uint32_t>(size * part / shares),
                                static_cast<uint32_t>(size * (part + 1) / shares), shares == 1};
        float* rows = gradient + level.offset * features;
        std::fill(rows + share.begin * int64_t(features), rows + share.end * int64_t(features), 0.f);
        add(l, level, share, rows);
    });
}

}  // namespace geneface
