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
    int size;        // cells per axis
    float low[3];    // minimum corner of the box
    float scale[3];  // cells per unit length
};

GENEFACE_HD OccupancyGrid make_occupancy_grid(const uint8_t* bits, int size, const float* aabb) {
    OccupancyGrid grid;
    grid.bits = bits;
    grid.size = size;
    for (int i = 0; i < 3; ++i) {
        grid.low[i] = aabb[i];
        grid.scale[i] = static_cast<float>(size) / (aabb[i + 3] - aabb[i]);
    }
    return grid;
}

GENEFACE_HD bool occupied(const OccupancyGrid& grid, float x, float y, float z) {
    const float size = static_cast<float>(grid.size);
    const float u = (x - grid.low[0]) * grid.scale[0], v = (y - grid.low[1]) * grid.scale[1],
                w = (z - grid.low[2]) * grid.scale[2];
    if (!(u >= 0.f && v >= 0.f && w >= 0.f && u < size && v < size && w < size)) return false;
    const int64_t number = static_cast<int64_t>(u) +
                           grid.size * (static_cast<int64_t>(v) + grid.size * static_cast<int64_t>(w));
    return grid.bits[number >> 3] >> (number & 7) & 1;
}

// Walk one ray; samples go to t where it is not null. Returns their number.
GENEFACE_HD int march_ray(const float* o, const float* d, float near, float far, float jitter,
                          const OccupancyGrid& grid, float step, int max_samples, float* t) {
    if (!(far > near) || std::isinf(near)) return 0;
    int count = 0;
    for (int k = 0; count < max_samples; ++k) {
        const float depth = near + (static_cast<float>(k) + jitter) * step;
        if (!(depth < far)) break;
        if (!occupied(grid, o[0] + depth * d[0], o[1] + depth * d[1], o[2] + depth * d[2])) continue;
        if (t) t[count] = depth;
        ++count;
    }
    return count;
}

}  // namespace geneface
