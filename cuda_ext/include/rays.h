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

// Last sample (number) that lies in the block of `cell`, which sample k is in. Samples between the two are
// in it as well: coordinates are monotonic in depth, rounding included. So skipping changes no result.
GENEFACE_HD int last_in_block(const CellRay& ray, float size, const int (&cell)[3], int k, float near, float jitter,
                              float step, float per_step) {
    float leave = INFINITY;
    for (int i = 0; i < 3; ++i) {
        const float block = static_cast<float>(cell[i] >> kBlockShift) + ray.ahead[i];
        const float t = (block * (1 << kBlockShift) - ray.start[i]) * ray.inverse[i];
        leave = t < leave ? t : leave;  // not where t is NaN: on the side, and along it
    }
    const float steps = (leave - near) * per_step - jitter;
    if (!(steps > static_cast<float>(k + 1) && steps < 16777216.f)) return k;
    int other[3];
    const int last = static_cast<int>(steps);
    if (!cell_at(ray, size, near + (static_cast<float>(last) + jitter) * step, other)) return k;
    const int differ = (other[0] ^ cell[0]) | (other[1] ^ cell[1]) | (other[2] ^ cell[2]);
    return differ >> kBlockShift ? k : last;
}

// Walk one ray from step k on; samples go to t where it is not null. Returns their number, and leaves in k the
// step after the last of them, or kMaxSteps where there were fewer than max_samples.
GENEFACE_HD int march_ray(const float* o, const float* d, float near, float far, float jitter,
                          const OccupancyGrid& grid, float step, int max_samples, float* t, int& k) {
    int count = 0;
    if (!(far > near) || std::isinf(near)) k = kMaxSteps;
    const CellRay ray = make_cell_ray(o, d, grid);
    const float per_step = 1.f / step;
    const float size = static_cast<float>(grid.size);
    const int blocks = grid.size >> kBlockShift;
    for (; count < max_samples && k < kMaxSteps; ++k) {
        const float depth = near + (static_cast<float>(k) + jitter) * step;
        int cell[3];
        if (!(depth < far)) break;
        if (!cell_at(ray, size, depth, cell)) continue;
        if (grid.coarse && !grid.coarse[(cell[0] >> kBlockShift) +
                                        blocks * ((cell[1] >> kBlockShift) + blocks * (cell[2] >> kBlockShift))]) {
            k = last_in_block(ray, size, cell, k, near, jitter, step, per_step);
            continue;
        }
        const int64_t number = cell[0] + grid.size * (cell[1] + static_cast<int64_t>(grid.size) * cell[2]);
        if (!(grid.bits[number >> 3] >> (number & 7) & 1)) continue;
        if (t) t[count] = depth;
        ++count;
    }
    if (count < max_samples) k = kMaxSteps;
    return count;
}

// The same from the first step on.
GENEFACE_HD int march_ray(const float* o, const float* d, float near, float far, float jitter,
                          const OccupancyGrid& grid, float step, int max_samples, float* t) {
    int k = 0;
    return march_ray(o, d, near, far, jitter, grid, step, max_samples, t, k);
}

}  // namespace geneface
