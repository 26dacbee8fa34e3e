// One level of a multiresolution grid for a packet of samples, inline: what the encoding, its gradients
// and the fused renderer are built of.
//
// Two steps, `locate_packet` then `encode_packet`, so that a caller can do the first of the next packet
// (or level) before the second of this one: the loads of the second step otherwise wait for the rows that
// the first has only just worked out. Where a cell's corners along x are neighbours in the table, both
// are read at once.
#pragma once
#include "../include/grid.h"
#include "simd.h"

namespace geneface {

// Rows, within the level, of the corners of each sample's cell, and the sample's place in it. Corner bit d
// says which side of axis d. Where the level has a row for every vertex, odd corners are not filled in:
// their row is the next one.
template <int D>
struct GridPacket {
    alignas(64) uint32_t row[1 << D][kPacket];
    alignas(64) float fraction[D][kPacket];
};

// x [D,kPacket] -> packet.
template <int D, bool Hashed, bool Dense>
GENEFACE_INLINE void locate_packet(const float* x, const GridLevel& level, GridPacket<D>& packet) {
    const Float resolution = set1(static_cast<float>(level.resolution));
    const Int last = set1(static_cast<int32_t>(level.resolution) - 1), mask = set1(static_cast<int32_t>(level.mask));
    for (int i = 0; i < kPacket; i += kLanes) {
        Int cell[D];
        for (int d = 0; d < D; ++d) {
            // Clamped this way round, a NaN becomes 0.
            const Float position = product(clamp(load(x + d * kPacket + i), 0.f, 1.f), resolution);
            cell[d] = min(to_int(position), last);
            store(packet.fraction[d] + i, position - to_float(cell[d]));
        }
        Int other[1 << (D - 1)];  // what the axes but the first put in, by their corner bits
        const Int y = set1(static_cast<int32_t>(level.stride[1]));
        other[0] = cell[1] * y;
        other[1] = other[0] + y;
        if (D == 3) {
            const Int z = set1(static_cast<int32_t>(level.stride[2]));
            const Int near = cell[D - 1] * z, far = near + z;
            for (int k = 0; k < 2; ++k) {
                other[(1 << (D - 1)) - 2 + k] = Hashed ? other[k] ^ far : other[k] + far;
                other[k] = Hashed ? other[k] ^ near : other[k] + near;
            }
        }
        const Int next = cell[0] + set1(1);
        for (int k = 0; k < 1 << (D - 1); ++k) {
            if (Dense) {
                store(packet.row[2 * k] + i, cell[0] + other[k]);
            } else {
                store(packet.row[2 * k] + i, (Hashed ? cell[0] ^ other[k] : cell[0] + other[k]) & mask);
                store(packet.row[2 * k + 1] + i, (Hashed ? next ^ other[k] : next + other[k]) & mask);
            }
        }
    }
}

template <int D>
GENEFACE_INLINE void locate_packet(const float* x, const GridLevel& level, GridPacket<D>& packet) {
    if (level.mask == ~0u)
        locate_packet<D, false, true>(x, level, packet);
    else if (level.hashed)
        locate_packet<D, true, false>(x, level, packet);
    else
        locate_packet<D, false, false>(x, level, packet);
}

namespace grid_detail {

// Both corners along x of one sample in each group of four lanes, two floats a corner; `row` and `next` are
// the first such sample's rows, the others' follow four apart.
template <bool Dense>
GENEFACE_INLINE Float load_sides(const float* table, const uint32_t* row, const uint32_t* next) {
    Quad quads[kLanes / 4];
    for (int g = 0; g < kLanes / 4; ++g) {
        const float* a = table + 2 * static_cast<size_t>(row[4 * g]);
        quads[g] = Dense ? load_quad(a) : load_halves(a, table + 2 * static_cast<size_t>(next[4 * g]));
    }
    return join(quads);
}

// The same of a bfloat16 table, a corner's pair in each lane, two neighbouring samples in each group.
template <bool Dense>
GENEFACE_INLINE Int load_sides(const uint16_t* table, const uint32_t* row, const uint32_t* next) {
    Quad quads[kLanes / 4];
    for (int g = 0; g < kLanes / 4; ++g) {
        const auto at = [&](uint32_t place) { return table + 2 * static_cast<size_t>(place); };
        const uint32_t *a = row + 4 * g, *b = next + 4 * g;
        quads[g] = Dense ? load_halves(at(a[0]), at(a[1])) : load_quarters(at(a[0]), at(b[0]), at(a[1]), at(b[1]));
    }
    return as_int(join(quads));
}

// Interpolation along the axes but the first; value(k) is the value at corners 2 k and 2 k + 1.
template <int D, class Value>
GENEFACE_INLINE Float interpolate(Float y, Float z, Value value) {
    const Float near = lerp(value(0), value(1), y);
    if constexpr (D == 3) return lerp(near, lerp(value(2), value(3), y), z);
    return near;
}

template <int D, bool Dense, class Put>
GENEFACE_INLINE void encode_pairs(const float* table, const GridPacket<D>& packet, Put put) {
    for (int i = 0; i < kPacket; i += kLanes) {
        const Float x = load(packet.fraction[0] + i), y = load(packet.fraction[1] + i);
        const Float z = load(packet.fraction[D - 1] + i);
        // One sample of each group at a time: more in flight do not fit into the registers.
        const auto sample = [&](int j, Float y, Float z) {
            return interpolate<D>(y, z, [&](int k) {
                return load_sides<Dense>(table, packet.row[2 * k] + i + j, packet.row[2 * k + 1] + i + j);
            });
        };
        Float a = sample(0, spread<0>(y), spread<0>(z)), b = sample(1, spread<1>(y), spread<1>(z));
        Float c = sample(2, spread<2>(y), spread<2>(z)), d = sample(3, spread<3>(y), spread<3>(z));
        transpose4(a, b, c, d);
        put(i, lerp(a, c, x), lerp(b, d, x));
    }
}

template <int D, bool Dense, class Put>
GENEFACE_INLINE void encode_pairs(const uint16_t* table, const GridPacket<D>& packet, Put put) {
    for (int i = 0; i < kPacket; i += kLanes) {
        const Float x = load(packet.fraction[0] + i), y = load(packet.fraction[1] + i);
        const Float z = load(packet.fraction[D - 1] + i);
        Int sides[2][1 << (D - 1)];
        for (int k = 0; k < 1 << (D - 1); ++k)
            for (int j = 0; j < 2; ++j) {
                const uint32_t *row = packet.row[2 * k] + i + 2 * j, *next = packet.row[2 * k + 1] + i + 2 * j;
                sides[j][k] = load_sides<Dense>(table, row, next);
            }
        Float first[2], second[2];
        for (int j = 0; j < 2; ++j) {
            const Float yy = j ? interleave_high(y, y) : interleave_low(y, y);
            const Float zz = j ? interleave_high(z, z) : interleave_low(z, z);
            first[j] = interpolate<D>(yy, zz, [&](int k) { return low_bf16(sides[j][k]); });
            second[j] = interpolate<D>(yy, zz, [&](int k) { return high_bf16(sides[j][k]); });
        }
        put(i, lerp(evens(first[0], first[1]), odds(first[0], first[1]), x),
            lerp(evens(second[0], second[1]), odds(second[0], second[1]), x));
    }
}

}  // namespace grid_detail

// The two features of a packet's samples at one level: put(i, first, second) takes those of samples i to
// i + kLanes - 1. `table` is the level's first row, float or bfloat16.
template <int D, class Number, class Put>
GENEFACE_INLINE void encode_packet(const Number* table, const GridLevel& level, const GridPacket<D>& packet,
                                   Put put) {
    if (level.mask == ~0u)
        grid_detail::encode_pairs<D, true>(table, packet, put);
    else
        grid_detail::encode_pairs<D, false>(table, packet, put);
}

// All levels of a grid with two features a level, for one packet: put(level, i, first, second).
template <int D, class Number, class Put>
GENEFACE_INLINE void encode_packet_levels(const GridLevel* levels, int count, const Number* table, const float* x,
                                          Put put) {
    GridPacket<D> packets[2];
    locate_packet<D>(x, levels[0], packets[0]);
    for (int l = 0; l < count; ++l) {
        if (l + 1 < count) locate_packet<D>(x, levels[l + 1], packets[(l + 1) & 1]);
        encode_packet<D>(table + 2 * levels[l].offset, levels[l], packets[l & 1],
                         [&](int i, Float first, Float second) { put(l, i, first, second); });
    }
}

}  // namespace geneface
