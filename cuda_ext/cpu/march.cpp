// Rays through boxes and occupancy grids on the CPU. Built without floating-point contraction.
#include <vector>

#include "../include/geneface_ops.h"
#include "../include/rays.h"
#include "parallel.h"

namespace {

constexpr int64_t kRays = 128;  // rays of one task

// One byte per block of 8^3 cells: whether any is occupied. Empty where blocks do not divide the grid.
// A row of 8 cells along x is one byte of the bit field, so that this reads it once.
std::vector<uint8_t> occupied_blocks(const uint8_t* bits, int size) {
    const int side = 1 << geneface::kBlockShift, blocks = size / side;
    if (size % side != 0) return {};
    std::vector<uint8_t> out(static_cast<size_t>(blocks) * blocks * blocks, 0);
    for (int z = 0; z < size; ++z)
        for (int y = 0; y < size; ++y) {
            const uint8_t* GENEFACE_RESTRICT row = bits + (static_cast<size_t>(z) * size + y) * blocks;
            uint8_t* GENEFACE_RESTRICT block = out.data() + (static_cast<size_t>(z / side) * blocks + y / side) * blocks;
            for (int x = 0; x < blocks; ++x) block[x] |= row[x];
        }
    return out;
}

}  // namespace

int geneface_near_far_from_aabb(int64_t n, const float* rays_o, const float* rays_d, const float* aabb,
                                float min_near, float* nears, float* fars, intptr_t context) {
    geneface::parallel_ranges(n, 32 * kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::near_far_from_aabb(rays_o + 3 * i, rays_d + 3 * i, aabb, min_near, nears[i], fars[i]);
    });
    return 0;
}

int geneface_march_count(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                         const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                         float step, int32_t max_samples, int64_t* counts, intptr_t context) {
    geneface::OccupancyGrid grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    const std::vector<uint8_t> blocks = occupied_blocks(occupancy, grid_size);
    if (!blocks.empty()) grid.coarse = blocks.data();
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            counts[i] = geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step,
                                            max_samples, nullptr);
    });
    return 0;
}

int geneface_march_fill(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                        const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                        float step, int32_t, const int64_t* offsets, float* t, intptr_t context) {
    geneface::OccupancyGrid grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    const std::vector<uint8_t> blocks = occupied_blocks(occupancy, grid_size);
    if (!blocks.empty()) grid.coarse = blocks.data();
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            // The count stops the walk at the last sample, and is never above max_samples.
            const int count = static_cast<int>(offsets[i + 1] - offsets[i]);
            geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step, count,
                                t + offsets[i]);
        }
    });
    return 0;
}
