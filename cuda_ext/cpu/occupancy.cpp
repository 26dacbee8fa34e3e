// Occupancy grids on the CPU. Built without floating-point contraction.
#include <algorithm>
#include <vector>

#include "../include/geneface_ops.h"
#include "../include/occupancy.h"
#include "parallel.h"

namespace {

constexpr int64_t kBytes = 4096;  // bytes of a bit field that one task packs
constexpr int kSlices = 8;        // slices of one task: 8 G^2 cells are whole bytes for every G

// out[i] |= in[i].
void merge(uint8_t* GENEFACE_RESTRICT out, const uint8_t* GENEFACE_RESTRICT in, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] |= in[i];
}

// One slice z of flags [size^3], grown by `margin` cells along each axis one after the other -> out [size^2].
void grow_slice(const uint8_t* flags, int size, int z, int margin, uint8_t* along_z, uint8_t* along_y, uint8_t* out) {
    const int64_t slice = static_cast<int64_t>(size) * size;
    std::copy_n(flags + z * slice, slice, along_z);
    for (int other = std::max(0, z - margin); other <= std::min(size - 1, z + margin); ++other)
        if (other != z) merge(along_z, flags + other * slice, slice);
    std::copy_n(along_z, slice, along_y);
    for (int64_t shift = 1; shift <= std::min(margin, size - 1); ++shift) {
        merge(along_y + shift * size, along_z, slice - shift * size);
        merge(along_y, along_z + shift * size, slice - shift * size);
    }
    std::copy_n(along_y, slice, out);
    for (int y = 0; y < size; ++y)
        for (int shift = 1; shift <= std::min(margin, size - 1); ++shift) {
            merge(out + y * size + shift, along_y + y * size, size - shift);
            merge(out + y * size, along_y + y * size + shift, size - shift);
        }
}

}  // namespace

int geneface_pack_bits(int64_t k, const float* density, float threshold, uint8_t* bits, intptr_t context) {
    geneface::parallel_ranges((k + 7) / 8, kBytes, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) bits[i] = geneface::packed_byte(density, k, threshold, i);
    });
    return 0;
}

// On one thread: the writes go anywhere, and 60,000 of them take a third of a millisecond.
int geneface_occupancy_record(int64_t n, const float* x, const float* weights, const float* aabb, int32_t grid_size,
                              float* seen, intptr_t) {
    for (int64_t i = 0; i < n; ++i) {
        float& cell = seen[geneface::cell_of_point(x + 3 * i, aabb, grid_size)];
        if (weights[i] > cell) cell = weights[i];
    }
    return 0;
}

int geneface_occupancy_update(int32_t grid_size, float* seen, const uint8_t* hull, float decay, float threshold,
                              int32_t margin, uint8_t* bits, uint8_t* scratch, intptr_t context) {
    const int size = grid_size, threads = static_cast<int>(context);
    const int64_t slice = static_cast<int64_t>(size) * size, cells = slice * size;
    geneface::parallel_ranges(cells, 1 << 16, threads, [=](int64_t begin, int64_t end) {
        float* GENEFACE_RESTRICT value = seen;
        uint8_t* GENEFACE_RESTRICT flag = scratch;
        for (int64_t i = begin; i < end; ++i) {
            value[i] *= decay;
            flag[i] = value[i] > threshold;
        }
    });
    geneface::parallel_ranges(size, kSlices, threads, [=](int64_t begin, int64_t end) {
        std::vector<uint8_t> along_z(slice), along_y(slice), grown((end - begin) * slice);
        for (int64_t z = begin; z < end; ++z) {
            uint8_t* out = grown.data() + (z - begin) * slice;
            grow_slice(scratch, size, static_cast<int>(z), margin, along_z.data(), along_y.data(), out);
            for (int64_t i = 0; i < slice; ++i) out[i] &= static_cast<uint8_t>(hull[z * slice + i] != 0);
        }
        const int64_t count = (end - begin) * slice;
        uint8_t* byte = bits + begin * slice / 8;
        for (int64_t i = 0; i < count; i += 8, ++byte) {
            unsigned packed = 0;
            for (int64_t bit = 0; bit < 8 && i + bit < count; ++bit) packed |= static_cast<unsigned>(grown[i + bit]) << bit;
            *byte = static_cast<uint8_t>(packed);
        }
    });
    return 0;
}
