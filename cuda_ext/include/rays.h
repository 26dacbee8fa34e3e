// Rays against a box, and through an occupancy grid.
//
// Compile without contraction of a*b+c into one rounding (-ffp-contract=off, --fmad=false): whether a
// sample falls into a cell must not depend on the compiler.
#pragma once
#include "host_device.h"

namespace geneface {

GENEFACE_HD void near_far_from_aabb(const float* o, const float* d, const float* aabb, float min_near, float& near,
                                    float& far) {
    const float infinity = INFINITY;
    float enter = -infinity, leave = infinity;
    for (int i = 0; i < 3; ++i) {
        float first = infinity, last = -infinity;  // a parallel ray outside the slab
        if (d[i] != 0.f) {
            const float a = (aabb[i] - o[i]) / d[i], b = (aabb[i + 3] - o[i]) / d[i];
            first = a < b ? a : b;
            last = a < b ? b : a;
        } else if (o[i] >= aabb[i] && o[i] <= aabb[i + 3]) {
            first = -infinity, last = infinity;
        }
        enter = first > enter ? first : enter;
        leave = last < leave ? last : leave;
    }
    enter = enter > min_near ? enter : min_near;
    const bool hit = leave > enter;
    near = hit ? enter : infinity;
    far = hit ? leave : infinity;
}

// Occupancy bit field and the box it covers.
struct OccupancyGrid {
    const uint8_t* bits;
    const uint8_t* coarse;  // null, or one byte per block of 8^3 cells: 0 where all of them are empty
    int size;               // cells per axis
    float low[3];           // minimum corner of the box
    float scale[3];         // cells per unit length
};

constexpr int kBlockShift = 3;  // cells of a block per axis, as a power of two

GENEFACE_HD OccupancyGrid make_occupancy_grid(const uint8_t* bits, int size, const float* aabb) {
    OccupancyGrid grid;
    grid.bits = bits;
    grid.coarse = nullptr;
    grid.size = size;
    for (int i = 0; i < 3; ++i) {
        grid.low[i] = aabb[i];
        grid.scale[i] = static_cast<float>(size) / (aabb[i + 3] - aabb[i]);
    }
    return grid;
}

// A ray in units of cells: coordinate i at depth t is start[i] + t * slope[i].
struct CellRay {
    float start[3], slope[3];
    float inverse[3];  // 1 / slope, +infinity where the slope is 0
    float ahead[3];    // 0 where the coordinate falls along the ray, else 1
};

GENEFACE_HD CellRay make_cell_ray(const float* o, const float* d, const OccupancyGrid& grid) {
    CellRay ray;
    for (int i = 0; i < 3; ++i) {
        ray.start[i] = (o[i] - grid.low[i]) * grid.scale[i];
        ray.slope[i] = d[i] * grid.scale[i];
        ray.inverse[i] = ray.slope[i] == 0.f ? INFINITY : 1.f / ray.slope[i];
        ray.ahead[i] = ray.slope[i] >= 0.f ? 1.f : 0.f;
    }
    return ray;
}

// Steps of a ray are numbered below this: numbers of samples must be exact as floats.
constexpr int kMaxSteps = 1 << 24;

// Cell at a depth; false outside the grid.
GENEFACE_HD bool cell_at(const CellRay& ray, float size, float depth, int (&cell)[3]) {
    for (int i = 0; i < 3; ++i) {
        const float u = ray.start[i] + depth * ray.slope[i];
        if (!(u >= 0.f && u < size)) return false;
        cell[i] = static_cast<int>(u);
    }
    return true;
}

// A ray on its way through a grid.
struct RayMarch {
    CellRay ray;
    float near, far, jitter, step, per_step;
    int next;  // first step that has not been looked at, or kMaxSteps where there are no more samples
};

GENEFACE_HD RayMarch start_march(const float* o, const float* d, float near, float far, float jitter, float step,
                                 const OccupancyGrid& grid, int next = 0) {
    RayMarch march;
    march.ray = make_cell_ray(o, d, grid);
    march.near = near, march.far = far, march.jitter = jitter;
    march.step = step, march.per_step = 1.f / step;
    march.next = far > near && !std::isinf(near) ? next : kMaxSteps;
    return march;
}

// Last sample (number) that lies in the block of `cell`, which the march's next sample is in. Samples between the
// two are in it as well: coordinates are monotonic in depth, rounding included. So skipping changes no result.
GENEFACE_HD int last_in_block(const RayMarch& march, float size, const int (&cell)[3]) {
    float leave = INFINITY;
    for (int i = 0; i < 3; ++i) {
        const float block = static_cast<float>(cell[i] >> kBlockShift) + march.ray.ahead[i];
        const float t = (block * (1 << kBlockShift) - march.ray.start[i]) * march.ray.inverse[i];
        leave = t < leave ? t : leave;  // not where t is NaN: on the side, and along it
    }
    const float steps = (leave - march.near) * march.per_step - march.jitter;
    if (!(steps > static_cast<float>(march.next + 1) && steps < static_cast<float>(kMaxSteps))) return march.next;
    int other[3];
    const int last = static_cast<int>(steps);
    const float depth = march.near + (static_cast<float>(last) + march.jitter) * march.step;
    if (!cell_at(march.ray, size, depth, other)) return march.next;
    const int differ = (other[0] ^ cell[0]) | (other[1] ^ cell[1]) | (other[2] ^ cell[2]);
    return differ >> kBlockShift ? march.next : last;
}

// Depth of the next sample, which lies in an occupied cell; false where there is none.
GENEFACE_HD bool next_sample(RayMarch& march, const OccupancyGrid& grid, float& depth) {
    const float size = static_cast<float>(grid.size);
    const int blocks = grid.size >> kBlockShift;
    for (; march.next < kMaxSteps; ++march.next) {
        depth = march.near + (static_cast<float>(march.next) + march.jitter) * march.step;
        int cell[3];
        if (!(depth < march.far)) break;
        if (!cell_at(march.ray, size, depth, cell)) continue;
        if (grid.coarse && !grid.coarse[(cell[0] >> kBlockShift) +
                                        blocks * ((cell[1] >> kBlockShift) + blocks * (cell[2] >> kBlockShift))]) {
            march.next = last_in_block(march, size, cell);
            continue;
        }
        const int64_t number = cell[0] + grid.size * (cell[1] + static_cast<int64_t>(grid.size) * cell[2]);
        if (!(grid.bits[number >> 3] >> (number & 7) & 1)) continue;
        ++march.next;
        return true;
    }
    march.next = kMaxSteps;
    return false;
}

// Walk one ray from step k on; samples go to t where it is not null. Returns their number, and leaves in k the
// step after the last of them, or kMaxSteps where there were fewer than max_samples.
GENEFACE_HD int march_ray(const float* o, const float* d, float near, float far, float jitter,
                          const OccupancyGrid& grid, float step, int max_samples, float* t, int& k) {
    RayMarch march = start_march(o, d, near, far, jitter, step, grid, k);
    int count = 0;
    for (float depth; count < max_samples && next_sample(march, grid, depth); ++count)
        if (t) t[count] = depth;
    k = march.next;
    return count;
}

// The same from the first step on.
GENEFACE_HD int march_ray(const float* o, const float* d, float near, float far, float jitter,
                          const OccupancyGrid& grid, float step, int max_samples, float* t) {
    int k = 0;
    return march_ray(o, d, near, far, jitter, grid, step, max_samples, t, k);
}

}  // namespace geneface
