// Morton codes (Z-order): the bits of coordinates interleaved, x lowest. Neighbours in the order are near
// each other in space, so that what lies together is computed together.
#pragma once
#include "host_device.h"

namespace geneface {

// Bit i of 32 goes to bit 2 i.
GENEFACE_HD uint64_t spread_by_2(uint32_t value) {
    uint64_t x = value;
    x = (x | x << 16) & 0x0000ffff0000ffffull;
    x = (x | x << 8) & 0x00ff00ff00ff00ffull;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
    x = (x | x << 2) & 0x3333333333333333ull;
    return (x | x << 1) & 0x5555555555555555ull;
}

GENEFACE_HD uint32_t gather_by_2(uint64_t x) {
    x &= 0x5555555555555555ull;
    x = (x | x >> 1) & 0x3333333333333333ull;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0full;
    x = (x | x >> 4) & 0x00ff00ff00ff00ffull;
    x = (x | x >> 8) & 0x0000ffff0000ffffull;
    return static_cast<uint32_t>(x | x >> 16);
}

// Bit i of 21 goes to bit 3 i.
GENEFACE_HD uint64_t spread_by_3(uint32_t value) {
    uint64_t x = value & 0x1fffffu;
    x = (x | x << 32) & 0x001f00000000ffffull;
    x = (x | x << 16) & 0x001f0000ff0000ffull;
    x = (x | x << 8) & 0x100f00f00f00f00full;
    x = (x | x << 4) & 0x10c30c30c30c30c3ull;
    return (x | x << 2) & 0x1249249249249249ull;
}

GENEFACE_HD uint32_t gather_by_3(uint64_t x) {
    x &= 0x1249249249249249ull;
    x = (x | x >> 2) & 0x10c30c30c30c30c3ull;
    x = (x | x >> 4) & 0x100f00f00f00f00full;
    x = (x | x >> 8) & 0x001f0000ff0000ffull;
    x = (x | x >> 16) & 0x001f00000000ffffull;
    return static_cast<uint32_t>((x | x >> 32) & 0x1fffffu);
}

// coordinates [dims], dims 2 or 3, not negative.
GENEFACE_HD int64_t morton_encode(const int32_t* coordinates, int dims) {
    uint64_t code = 0;
    for (int i = 0; i < dims; ++i) {
        const uint32_t value = static_cast<uint32_t>(coordinates[i]);
        code |= (dims == 2 ? spread_by_2(value) : spread_by_3(value)) << i;
    }
    return static_cast<int64_t>(code);
}

GENEFACE_HD void morton_decode(int64_t code, int dims, int32_t* coordinates) {
    for (int i = 0; i < dims; ++i) {
        const uint64_t bits = static_cast<uint64_t>(code) >> i;
        coordinates[i] = static_cast<int32_t>(dims == 2 ? gather_by_2(bits) : gather_by_3(bits));
    }
}

}  // namespace geneface
