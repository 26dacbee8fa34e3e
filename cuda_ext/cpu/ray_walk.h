// Samples of a ray, many candidates at a time: the same as `next_sample` of include/field.h finds.
#pragma once
#include "../include/field.h"
#include "simd.h"

namespace geneface {

// A box around the occupied cells, in cells: candidates outside it need not be looked at.
struct OccupiedBox {
    int low[3], high[3];  // first occupied cell, and one past the last
    bool empty;
};

// The whole grid where its rows are not whole bytes.
inline OccupiedBox occupied_box(const uint8_t* bits, int size) {
    if (size % 8 != 0) return {{0, 0, 0}, {size, size, size}, false};
    OccupiedBox box = {{size, size, size}, {0, 0, 0}, true};
    const int bytes = size / 8;
    for (int z = 0; z < size; ++z)
        for (int y = 0; y < size; ++y) {
            const uint8_t* row = bits + (static_cast<size_t>(z) * size + y) * bytes;
            int first = 0, last = bytes - 1;
            while (first < bytes && !row[first]) ++first;
            if (first == bytes) continue;
            while (!row[last]) --last;
            const int low[3] = {8 * first, y, z}, high[3] = {8 * last + 8, y + 1, z + 1};
            for (int i = 0; i < 3; ++i) {
                box.low[i] = low[i] < box.low[i] ? low[i] : box.low[i];
                box.high[i] = high[i] > box.high[i] ? high[i] : box.high[i];
            }
            box.empty = false;
        }
    return box;
}

// One ray's candidates, 64 at a time.
struct RayWalk {
    SampleWalk walk;
    int begin, end;  // candidates still to be looked at
    uint64_t found;  // bit i: candidate begin - 64 + i is a sample, and not taken yet
};

// Candidates that a ray may have in a box of cells, rounded outwards.
inline void clip_candidates(RayWalk& ray, const OccupiedBox& box) {
    const SampleWalk& walk = ray.walk;
    float enter = walk.near, leave = walk.far;
    for (int i = 0; i < 3; ++i) {
        // A cell of room on both sides: rounding moves a sample by far less.
        const float a = (static_cast<float>(box.low[i] - 1) - walk.ray.start[i]) * walk.ray.inverse[i];
        const float b = (static_cast<float>(box.high[i] + 1) - walk.ray.start[i]) * walk.ray.inverse[i];
        const float first = a < b ? a : b, last = a < b ? b : a;
        enter = first > enter ? first : enter;  // not where it is NaN: on the side, and along it
        leave = last < leave ? last : leave;
    }
    ray.found = 0;
    ray.begin = ray.end = 0;
    if (box.empty || !(leave > enter)) return;
    const float from = (enter - walk.near) * walk.per_step - 1.f, to = (leave - walk.near) * walk.per_step + 2.f;
    constexpr float kMost = 16777216.f;
    ray.begin = from > 0.f ? static_cast<int>(from < kMost ? from : kMost) : 0;
    ray.end = static_cast<int>(to < kMost ? to : kMost);
}

// Look at the next 64 candidates.
inline void look_ahead(RayWalk& ray, const OccupancyGrid& grid) {
    const SampleWalk& walk = ray.walk;
    const Float size = set1(static_cast<float>(grid.size));
    const Int side = set1(grid.size);
    uint64_t found = 0;
    for (int i = 0; i < 64; i += kLanes) {
        const Float k = to_float(iota() + set1(ray.begin + i)) + set1(0.5f);
        const Float depth = set1(walk.near) + product(k, set1(walk.step));
        Mask inside = depth < set1(walk.far);
        Int cell[3];
        for (int axis = 0; axis < 3; ++axis) {
            const Float u = set1(walk.ray.start[axis]) + product(depth, set1(walk.ray.slope[axis]));
            inside = inside & (u >= zero()) & (u < size);
            cell[axis] = to_int(u);
        }
        if (!bits(inside)) continue;
        const Int number = select(inside, cell[0] + side * (cell[1] + side * cell[2]), set1(0));
        const Int word = gather(reinterpret_cast<const int32_t*>(grid.bits), shift_right<5>(number));
        const Int bit = shift_right(word, number & set1(31)) & set1(1);
        found |= static_cast<uint64_t>(bits(inside & (bit == set1(1)))) << i;
    }
    ray.begin += 64;
    ray.found = found;
}

// Depth of the next sample; false where there is none.
inline bool next_sample(RayWalk& ray, const OccupancyGrid& grid, float& depth) {
    while (!ray.found) {
        if (ray.begin >= ray.end) return false;
        look_ahead(ray, grid);
    }
    int lowest = 0;
#if defined(__GNUC__) || defined(__clang__)
    lowest = __builtin_ctzll(ray.found);
#else
    while (!(ray.found >> lowest & 1)) ++lowest;
#endif
    ray.found &= ray.found - 1;
    depth = ray.walk.near + product(static_cast<float>(ray.begin - 64 + lowest) + 0.5f, ray.walk.step);
    return true;
}

}  // namespace geneface
