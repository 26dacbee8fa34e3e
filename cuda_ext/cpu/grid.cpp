// Multiresolution grid encoding on the CPU.
//
// A packet of samples goes through all levels before the next: neighbouring samples find each other's rows in
// the cache, and the features are put out a whole row at a time.
#include "grid_packets.h"

namespace geneface {
namespace {

constexpr int64_t kChunk = 64;  // packets of one task

GENEFACE_INLINE float number(float x) { return x; }
GENEFACE_INLINE float number(uint16_t x) { return from_bf16(x); }

// Features of a packet at one level, out [C,kPacket]. `table` is the level's first row.
template <int D, class Number>
GENEFACE_INLINE void encode_level(const Number* table, const GridLevel& level, const GridPacket<D>& packet, float* out,
                                  GridShape<D, 2>) {
    encode_packet<D>(table, level, packet, [&](int i, Float first, Float second) {
        store(out + i, first);
        store(out + kPacket + i, second);
    });
}

template <int D, class Number, int C>
GENEFACE_INLINE void encode_level(const Number* table, const GridLevel& level, const GridPacket<D>& packet, float* out,
                                  GridShape<D, C>) {
    const bool dense = level.mask == ~0u;
    for (int i = 0; i < kPacket; ++i) {
        float sum[C] = {};
        for (int corner = 0; corner < 1 << D; ++corner) {
            const Number* row = table + corner_row<D>(packet, dense, corner, i) * C;
            const float weight = corner_weight<D>(packet, corner, i);
            for (int c = 0; c < C; ++c) sum[c] += weight * number(row[c]);
        }
        for (int c = 0; c < C; ++c) out[c * kPacket + i] = sum[c];
    }
}

// lanes [width,kPacket] -> out [count,width].
void write_rows(const float* lanes, int64_t width, int count, float* out) {
    int64_t c = 0;
    for (; count == kPacket && c + 4 <= width; c += 4)
        for (int i = 0; i < kPacket; i += kLanes) {
            const float* source = lanes + c * kPacket + i;
            Float columns[4] = {load(source), load(source + kPacket), load(source + 2 * kPacket),
                                load(source + 3 * kPacket)};
            transpose4(columns[0], columns[1], columns[2], columns[3]);
            for (int k = 0; k < 4; ++k) {
                Quad quads[kLanes / 4];
                split(columns[k], quads);
                for (int g = 0; g < kLanes / 4; ++g) store_quad(out + (i + 4 * g + k) * width + c, quads[g]);
            }
        }
    for (; c < width; ++c)
        for (int i = 0; i < count; ++i) out[i * width + c] = lanes[c * kPacket + i];
}

template <class Number>
int encode(const geneface_grid& grid, int64_t n, const float* x, const Number* table, float* out, int threads) {
    return with_shape(grid, [&](auto shape) {
        constexpr int D = decltype(shape)::D, C = decltype(shape)::C;
        const int64_t width = int64_t(grid.levels) * C;
        std::vector<GridLevel> levels;
        for (int l = 0; l < grid.levels; ++l) levels.push_back(make_level(grid, l));
        parallel_ranges(packets_of(n), kChunk, threads, [&](int64_t begin, int64_t end) {
            alignas(64) float position[3 * kPacket], lanes[kMaxLevels * C * kPacket];
            for (int64_t p = begin; p < end; ++p) {
                read_packet<D>(x, p, n, position);
                GridPacket<D> packets[2];
                locate_packet<D>(position, levels[0], packets[0]);
                for (int l = 0; l < grid.levels; ++l) {
                    if (l + 1 < grid.levels) locate_packet<D>(position, levels[l + 1], packets[(l + 1) & 1]);
                    encode_level<D>(table + levels[l].offset * C, levels[l], packets[l & 1], lanes + l * C * kPacket,
                                    shape);
                }
                write_rows(lanes, width, packet_size(p, n), out + p * kPacket * width);
            }
        });
        return 0;
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
