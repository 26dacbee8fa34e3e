// Rays through boxes and occupancy grids on the CPU. Built without floating-point contraction.
#include "../include/geneface_ops.h"
#include "../include/rays.h"
#include "parallel.h"

namespace {
constexpr int64_t kRays = 128;  // rays of one task
}

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
    const geneface::OccupancyGrid grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            counts[i] = geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step,
                                            max_samples, nullptr);
    });
    return 0;
}

int geneface_march_fill(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                        const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                        float step, int32_t max_samples, const int64_t* offsets, float* t, intptr_t context) {
    const geneface::OccupancyGrid grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            if (offsets[i + 1] > offsets[i])
                geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step,
                                    max_samples, t + offsets[i]);
    });
    return 0;
}
