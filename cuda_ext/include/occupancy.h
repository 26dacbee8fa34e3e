// Cells of an occupancy grid: which one a point lies in, and whether one is occupied.
//
// Compile without contraction of a*b+c into one rounding: a point must not change its cell.
#pragma once
#include "host_device.h"

namespace geneface {

// Number of the cell at coordinate x along one axis; the nearest one for a point outside.
GENEFACE_HD int nearest_cell(float x, float low, float high, int size) {
    const float u = (x - low) / (high - low) * static_cast<float>(size);
    if (!(u > 0.f)) return 0;
    return u < static_cast<float>(size - 1) ? static_cast<int>(u) : size - 1;
}

// Number of the cell of a point [3], x fastest.
GENEFACE_HD int64_t cell_of_point(const float* x, const float* aabb, int size) {
    int64_t number = 0;
    for (int i = 2; i >= 0; --i) number = number * size + nearest_cell(x[i], aabb[i], aabb[i + 3], size);
    return number;
}

// Byte k of a bit field: bit i is whether cell 8 k + i exceeds a threshold.
GENEFACE_HD uint8_t packed_byte(const float* values, int64_t count, float threshold, int64_t k) {
    unsigned byte = 0;
    for (int64_t bit = 0; bit < 8 && 8 * k + bit < count; ++bit)
        byte |= static_cast<unsigned>(values[8 * k + bit] > threshold) << bit;
    return static_cast<uint8_t>(byte);
}

// Whether any cell of `flags` [size^3] within `margin` cells of one, along each axis, is set.
GENEFACE_HD bool any_within(const uint8_t* flags, int size, int64_t cell, int margin) {
    const int x = static_cast<int>(cell % size), y = static_cast<int>(cell / size % size);
    const int z = static_cast<int>(cell / size / size);
    for (int c = z - margin; c <= z + margin; ++c)
        for (int b = y - margin; b <= y + margin; ++b)
            for (int a = x - margin; a <= x + margin; ++a) {
                if (a < 0 || b < 0 || c < 0 || a >= size || b >= size || c >= size) continue;
                if (flags[a + size * (b + static_cast<int64_t>(size) * c)]) return true;
            }
    return false;
}

}  // namespace geneface
