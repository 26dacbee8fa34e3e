// Rays through boxes and occupancy grids on CUDA: one thread per ray. Built with --fmad=false.
#include "../include/geneface_ops.h"
#include "../include/rays.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::thread_index;

__global__ void near_far(int64_t n, const float* __restrict__ rays_o, const float* __restrict__ rays_d,
                         const float* __restrict__ aabb, float min_near, float* __restrict__ nears,
                         float* __restrict__ fars) {
    const int64_t i = thread_index();
    if (i < n) geneface::near_far_from_aabb(rays_o + 3 * i, rays_d + 3 * i, aabb, min_near, nears[i], fars[i]);
}

__global__ void count_samples(int64_t n, const float* __restrict__ rays_o, const float* __restrict__ rays_d,
                              const float* __restrict__ nears, const float* __restrict__ fars,
                              const float* __restrict__ jitter, const uint8_t* __restrict__ occupancy,
                              const float* __restrict__ aabb, int grid_size, float step, int max_samples,
                              int64_t* __restrict__ counts) {
    const int64_t i = thread_index();
    if (i >= n) return;
    const auto grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    counts[i] = geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step,
                                    max_samples, nullptr);
}

__global__ void fill_samples(int64_t n, const float* __restrict__ rays_o, const float* __restrict__ rays_d,
                             const float* __restrict__ nears, const float* __restrict__ fars,
                             const float* __restrict__ jitter, const uint8_t* __restrict__ occupancy,
                             const float* __restrict__ aabb, int grid_size, float step, int max_samples,
                             const int64_t* __restrict__ offsets, float* __restrict__ t) {
    const int64_t i = thread_index();
    if (i >= n || offsets[i + 1] == offsets[i]) return;
    const auto grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    geneface::march_ray(rays_o + 3 * i, rays_d + 3 * i, nears[i], fars[i], jitter[i], grid, step, max_samples,
                        t + offsets[i]);
}

__global__ void march_further(int64_t n, const int64_t* __restrict__ alive, const float* __restrict__ rays_o,
                              const float* __restrict__ rays_d, const float* __restrict__ nears,
                              const float* __restrict__ fars, const float* __restrict__ jitter,
                              const uint8_t* __restrict__ occupancy, const float* __restrict__ aabb, int grid_size,
                              float step, int max_samples, int32_t* __restrict__ next, int64_t* __restrict__ counts,
                              float* __restrict__ t) {
    const int64_t i = thread_index();
    if (i >= n) return;
    const auto grid = geneface::make_occupancy_grid(occupancy, grid_size, aabb);
    const int64_t ray = alive[i];
    int k = next[ray];
    counts[i] = geneface::march_ray(rays_o + 3 * ray, rays_d + 3 * ray, nears[ray], fars[ray], jitter[ray], grid, step,
                                    max_samples, t + i * max_samples, k);
    next[ray] = k;
}

}  // namespace

int geneface_near_far_from_aabb(int64_t n, const float* rays_o, const float* rays_d, const float* aabb,
                                float min_near, float* nears, float* fars, intptr_t context) {
    return launch(near_far, n, context, n, rays_o, rays_d, aabb, min_near, nears, fars);
}

int geneface_march_count(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                         const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                         float step, int32_t max_samples, int64_t* counts, intptr_t context) {
    return launch(count_samples, n, context, n, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size, step,
                  max_samples, counts);
}

int geneface_march_fill(int64_t n, const float* rays_o, const float* rays_d, const float* nears, const float* fars,
                        const float* jitter, const uint8_t* occupancy, const float* aabb, int32_t grid_size,
                        float step, int32_t max_samples, const int64_t* offsets, float* t, intptr_t context) {
    return launch(fill_samples, n, context, n, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size, step,
                  max_samples, offsets, t);
}

int geneface_march_alive(int64_t n, const int64_t* alive, const float* rays_o, const float* rays_d, const float* nears,
                         const float* fars, const float* jitter, const uint8_t* occupancy, const float* aabb,
                         int32_t grid_size, float step, int32_t max_samples, int32_t* next, int64_t* counts, float* t,
                         intptr_t context) {
    return launch(march_further, n, context, n, alive, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size,
                  step, max_samples, next, counts, t);
}
