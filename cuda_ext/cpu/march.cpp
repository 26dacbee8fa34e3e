// Rays through boxes and occupancy grids on the CPU. Built without floating-point contraction.
#include "../include/geneface_ops.h"
#include "../include/rays.h"
#include "../include/volume.h"
#include "march_block.h"
#include "parallel.h"

namespace {

using geneface::MarchGrid;

constexpr int64_t kRays = 128;  // rays of one task

#if defined(__AVX2__)
constexpr bool kVectors = true;
#else
constexpr bool kVectors = false;  // the walk that CUDA takes, step by step: it skips empty blocks
#endif

// Whether a grid is marched in vectors: where cells can be numbered in 32 bits.
bool vectors(int size) { return kVectors && size <= 1024; }

// As `march_ray` in rays.h.
int march(const MarchGrid& cells, const float* o, const float* d, float near, float far, float jitter, float step,
          int max_samples, float* t, int& k) {
    if (!vectors(cells.grid.size))
        return geneface::march_ray(o, d, near, far, jitter, cells.grid, step, max_samples, t, k);
    geneface::March ray = geneface::start_march(o, d, near, far, jitter, step, cells, k);
    const int count = geneface::march_on(ray, cells, max_samples, t);
    k = ray.next;
    return count;
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
    const MarchGrid cells(occupancy, grid_size, aabb, !vectors(grid_size));
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=, &cells](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            int k = 0;
            counts[i] = march(cells, rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], step, max_samples,
                              nullptr, k);
        }
    });
    return 0;
}

int geneface_march_fill(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                        const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                        float step, int32_t, const int64_t* offsets, float* t, intptr_t context) {
    const MarchGrid cells(occupancy, grid_size, aabb, !vectors(grid_size));
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=, &cells](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            // The count stops the walk at the last sample, and is never above max_samples.
            const int count = static_cast<int>(offsets[i + 1] - offsets[i]);
            int k = 0;
            march(cells, rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], step, count, t + offsets[i], k);
        }
    });
    return 0;
}

int geneface_march_alive(int64_t n, const int64_t* alive, const float* rays_o, const float* rays_d, const float* nears,
                         const float* fars, const float* jitter, const uint8_t* occupancy, const float* aabb,
                         int32_t grid_size, float step, int32_t max_samples, int32_t* next, int64_t* counts, float* t,
                         intptr_t context) {
    const MarchGrid cells(occupancy, grid_size, aabb, !vectors(grid_size));
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=, &cells](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t ray = alive[i];
            counts[i] = march(cells, rays_o + 3 * ray, rays_d + 3 * ray, nears[ray], fars[ray], jitter[ray], step,
                              max_samples, t + i * max_samples, next[ray]);
        }
    });
    return 0;
}

int geneface_sample_points(int64_t n, const float* rays_o, const float* rays_d, const float* t, const int64_t* offsets,
                           float* x, int64_t* ray, intptr_t context) {
    geneface::parallel_ranges(n, 2 * kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            for (int64_t sample = offsets[i]; sample < offsets[i + 1]; ++sample) {
                geneface::point_on_ray(rays_o + 3 * i, rays_d + 3 * i, t[sample], x + 3 * sample);
                ray[sample] = i;
            }
    });
    return 0;
}

int geneface_sample_points_backward(int64_t n, const float* t, const int64_t* offsets, const float* grad_x,
                                    float* grad_o, float* grad_d, intptr_t context) {
    geneface::parallel_ranges(n, 2 * kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::point_gradients(t, grad_x, offsets[i], offsets[i + 1], grad_o + 3 * i, grad_d + 3 * i);
    });
    return 0;
}
