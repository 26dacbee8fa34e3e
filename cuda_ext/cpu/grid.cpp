// Multiresolution grid encoding on the CPU.
//
// A task is a few thousand samples: level by level, so that the rows of one level that they touch stay in a
// core's cache, but few enough that their features do too.
#include "grid_packets.h"

namespace geneface {
namespace {

constexpr int64_t kChunk = 64;  // packets of one task

GENEFACE_INLINE float number(float x) { return x; }
GENEFACE_INLINE float number(uint16_t x) { return from_bf16(x); }

// Two features a row: out is the first sample's features at this level, `width` apart from the next one's.
template <int D, class Number>
GENEFACE_INLINE void encode_into(const Number* rows, const GridLevel& level, const GridPacket<D>& packet, int count,
                                 int64_t width, float* out, GridShape<D, 2>) {
    const auto put = [&](int i, Float first, Float second) {
        Quad low[kLanes / 4], high[kLanes / 4];
        split(interleave_low(first, second), low);
        split(interleave_high(first, second), high);
        for (int g = 0; g < kLanes / 4; ++g) {
            float* target = out + (i + 4 * g) * width;
            if (i + 4 * g + 4 <= count) {
                store_halves(target, target + width, low[g]);
                store_halves(target + 2 * width, target + 3 * width, high[g]);
                continue;
            }
            float pairs[8];
            store_quad(pairs, low[g]);
            store_quad(pairs + 4, high[g]);
            for (int j = 0; i + 4 * g + j < count; ++j)
                for (int c = 0; c < 2; ++c) target[j * width + c] = pairs[2 * j + c];
        }
    };
    encode_packet<D>(rows, level, packet, put);
}

template <int D, class Number, int C>
GENEFACE_INLINE void encode_into(const Number* rows, const GridLevel& level, const GridPacket<D>& packet, int count,
                                 int64_t width, float* out, GridShape<D, C>) {
    const bool dense = level.mask == ~0u;
    for (int i = 0; i < count; ++i) {
        float sum[C] = {};
        for (int corner = 0; corner < 1 << D; ++corner) {
            const Number* row = rows + corner_row<D>(packet, dense, corner, i) * C;
            const float weight = corner_weight<D>(packet, corner, i);
            for (int c = 0; c < C; ++c) sum[c] += weight * number(row[c]);
        }
        for (int c = 0; c < C; ++c) out[i * width + c] = sum[c];
    }
}

template <class Number>
int encode(const geneface_grid& grid, int64_t n, const float* x, const Number* table, float* out, int threads) {
    return with_shape(grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        const int64_t width = int64_t(grid.levels) * C;
        parallel_ranges(packets_of(n), kChunk, threads, [&](int64_t begin, int64_t end) {
            alignas(64) float positions[kChunk * 3 * kPacket];
            for (int64_t p = begin; p < end; ++p) read_packet<D>(x, p, n, positions + (p - begin) * D * kPacket);
            for (int l = 0; l < grid.levels; ++l) {
                const GridLevel level = make_level(grid, l);
                visit_packets<D>(positions, level, begin, end, [&](int64_t p, const GridPacket<D>& packet) {
                    encode_into<D>(table + level.offset * C, level, packet, packet_size(p, n), width,
                                   out + p * kPacket * width + l * C, shape);
                });
            }
        });
    });
}

}  // namespace
}  // namespace geneface

int geneface_grid_encode(const geneface_grid* grid, int64_t n, const float* x, const float* table, float* out,
                         intptr_t context) {
    return geneface::encode(*grid, n, x, table, out, static_cast<int>(context));
}

int geneface_grid_encode_bf16(const geneface_grid* grid, int64_t n, const float* x, const uint16_t* table, float* out,
                              intptr_t context) {
    return geneface::encode(*grid, n, x, table, out, static_cast<int>(context));
}
