// Warps that keep their lanes busy: each lane follows one ray, and takes the next from a counter of the device
// when that one ends.
#pragma once
#include "../include/field.h"
#include "launch.h"

namespace geneface {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// What all rays share, and where results go; as geneface_render_rays has them.
struct Rays {
    const float *origins, *directions;
    int64_t count;
    float min_near, step, early_stop;
    int max_samples;
    float *image, *alpha, *depth;
    int32_t* samples;  // may be null
    unsigned long long* next;  // first ray that no lane has taken yet
};

struct RayLane {
    int64_t ray;     // -1: none
    bool exhausted;  // there are no more rays
    int count;       // samples so far
    float origin[3], direction[3];
    float t;  // depth of the sample to evaluate
    RayMarch march;
    Gathered sum;
};

__device__ __forceinline__ void take_ray(RayLane& lane, const Rays& rays, const OccupancyGrid& grid,
                                         const float* aabb) {
    for (int i = 0; i < 3; ++i) {
        lane.origin[i] = rays.origins[3 * lane.ray + i];
        lane.direction[i] = rays.directions[3 * lane.ray + i];
        lane.sum.rgb[i] = 0.f;
    }
    lane.sum.alpha = lane.sum.depth = lane.sum.optical = 0.f;
    lane.count = 0;
    float near, far;
    near_far_from_aabb(lane.origin, lane.direction, aabb, rays.min_near, near, far);
    lane.march = start_march(lane.origin, lane.direction, near, far, kMidpoint, rays.step, grid);
}

__device__ __forceinline__ void deliver_ray(const RayLane& lane, const Rays& rays) {
    for (int c = 0; c < 3; ++c) rays.image[3 * lane.ray + c] = lane.sum.rgb[c];
    rays.alpha[lane.ray] = lane.sum.alpha;
    rays.depth[lane.ray] = lane.sum.depth;
    if (rays.samples) rays.samples[lane.ray] = lane.count;
}

// Finds each lane a sample to evaluate: on its ray, or, once that has ended, on another. Called by whole warps;
// false for a lane that has found none because all rays are taken.
__device__ __forceinline__ bool next_samples(RayLane& lane, const Rays& rays, const OccupancyGrid& grid,
                                             const float* aabb) {
    const int number = static_cast<int>(threadIdx.x % kWarp);
    bool found = false;
    for (;;) {
        const bool wants = !found && lane.ray < 0 && !lane.exhausted;
        const unsigned wanting = __ballot_sync(kAllLanes, wants);
        if (wanting) {
            const int leader = __ffs(wanting) - 1;
            unsigned long long first = 0;
            if (number == leader) first = atomicAdd(rays.next, static_cast<unsigned long long>(__popc(wanting)));
            first = __shfl_sync(kAllLanes, first, leader);
            if (wants) {
                const int64_t ray = static_cast<int64_t>(first) + __popc(wanting & ((1u << number) - 1u));
                lane.exhausted = ray >= rays.count;
                if (!lane.exhausted) {
                    lane.ray = ray;
                    take_ray(lane, rays, grid, aabb);
                }
            }
        }
        if (!found && lane.ray >= 0) {
            if (lane.count < rays.max_samples && expf(-lane.sum.optical) >= rays.early_stop &&
                next_sample(lane.march, grid, lane.t)) {
                found = true;
                ++lane.count;
            } else {
                deliver_ray(lane, rays);
                lane.ray = -1;
            }
        }
        if (!__any_sync(kAllLanes, !found && !lane.exhausted)) return found;
    }
}

}  // namespace geneface
