// Samples of a ray one after another, looked for 64 steps at a time: the same as `next_sample` of rays.h finds.
#pragma once
#include "march_block.h"

namespace geneface {

// A march that has looked ahead. Bit i of `found`: step march.next - kAhead + i is a sample, and not taken yet.
struct RayWalk {
    static constexpr int kAhead = 64;
    March march;
    uint64_t found;
};

// Depth of the next sample; false where there is none.
inline bool next_sample(RayWalk& walk, const MarchGrid& cells, float& depth) {
    March& march = walk.march;
    while (!walk.found) {
        if (march.next >= march.end) return false;
        for (int i = 0; i < RayWalk::kAhead; i += kLanes, march.next += kLanes)
            walk.found |= static_cast<uint64_t>(occupied_lanes(march, cells, march_depths(march))) << i;
    }
    const int step = march.next - RayWalk::kAhead + lowest_bit(walk.found);
    walk.found &= walk.found - 1;
    depth = march.near + product(static_cast<float>(step) + march.jitter, march.step);
    return true;
}

}  // namespace geneface
