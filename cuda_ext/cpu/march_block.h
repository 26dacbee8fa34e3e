// Marching kLanes steps of a ray at once. Gives the samples of `march_ray` in rays.h, bit for bit, in any
// file: no product here may be fused into a sum.
#pragma once
#include <vector>

#include "../include/rays.h"
#include "simd.h"

namespace geneface {

// An occupancy grid made ready for many rays: for `march_on`, or with blocks for `march_ray`.
class MarchGrid {
public:
    MarchGrid(const uint8_t* bits, int size, const float* aabb, bool blocks)
        : grid(make_occupancy_grid(bits, size, aabb)) {
        const size_t bytes = (static_cast<size_t>(size) * size * size + 7) / 8;
        words = reinterpret_cast<const int32_t*>(bits);
        if (bytes % 4) {  // gathers read whole words
            copy_.assign(bytes / 4 + 1, 0);
            std::memcpy(copy_.data(), bits, bytes);
            words = copy_.data();
        }
        for (int i = 0; i < 3; ++i) first[i] = 0.f, last[i] = static_cast<float>(size);
        if (size % (1 << kBlockShift)) return;  // rows share bytes
        if (blocks) find_blocks();
        if (size % 64) find_bounds<uint8_t>();
        else find_bounds<uint64_t>();
    }
    MarchGrid(const MarchGrid&) = delete;
    MarchGrid& operator=(const MarchGrid&) = delete;

    OccupancyGrid grid;
    const int32_t* words;        // the bit field
    float first[3], last[3];     // cells outside these bounds are empty (last: one past the end)

private:
    // A row of 8 cells along x is one byte of the bit field.
    void find_blocks() {
        const int side = 1 << kBlockShift, blocks = grid.size / side;
        coarse_.assign(static_cast<size_t>(blocks) * blocks * blocks, 0);
        for (int z = 0; z < grid.size; ++z)
            for (int y = 0; y < grid.size; ++y) {
                const uint8_t* GENEFACE_RESTRICT row = grid.bits + (static_cast<size_t>(z) * grid.size + y) * blocks;
                uint8_t* GENEFACE_RESTRICT block =
                    coarse_.data() + (static_cast<size_t>(z / side) * blocks + y / side) * blocks;
                for (int x = 0; x < blocks; ++x) block[x] |= row[x];
            }
        grid.coarse = coarse_.data();
    }

    // Cells per axis outside which all is empty; along x in whole words.
    template <class Word>
    void find_bounds() {
        const int size = grid.size, cells = 8 * sizeof(Word), words_per_row = size / cells;
        std::vector<uint8_t> columns(words_per_row, 0), rows(size, 0), slices(size, 0);
        for (int z = 0; z < size; ++z)
            for (int y = 0; y < size; ++y)
                for (int x = 0; x < words_per_row; ++x) {
                    Word word;
                    const size_t place = (static_cast<size_t>(z) * size + y) * words_per_row + x;
                    std::memcpy(&word, grid.bits + place * sizeof word, sizeof word);
                    if (word) columns[x] = rows[y] = slices[z] = 1;
                }
        const std::vector<uint8_t>* const axes[3] = {&columns, &rows, &slices};
        for (int i = 0; i < 3; ++i) {
            int a = 0, b = static_cast<int>(axes[i]->size());
            while (a < b && !(*axes[i])[a]) ++a;
            while (b > a && !(*axes[i])[b - 1]) --b;
            first[i] = static_cast<float>(a * (i == 0 ? cells : 1));
            last[i] = static_cast<float>(b * (i == 0 ? cells : 1));
        }
    }

    std::vector<uint8_t> coarse_;
    std::vector<int32_t> copy_;
};

// A ray on its way of which steps from `end` on are empty or beyond.
struct March : RayMarch {
    int end;
};

GENEFACE_INLINE March start_march(const float* o, const float* d, float near, float far, float jitter, float step,
                                  const MarchGrid& cells, int next = 0) {
    March march = {start_march(o, d, near, far, jitter, step, cells.grid, next), 0};
    if (march.next == kMaxSteps) return march;
    // Where the ray passes the occupied bounds, a cell to spare, which covers all rounding. A comparison with
    // NaN (a ray in the plane of a bound) is false and leaves the way open.
    float enter = near, leave = far;
    for (int i = 0; i < 3; ++i) {
        const float a = (cells.first[i] - 1.f - march.ray.start[i]) * march.ray.inverse[i];
        const float b = (cells.last[i] + 1.f - march.ray.start[i]) * march.ray.inverse[i];
        const float low = march.ray.slope[i] < 0.f ? b : a, high = march.ray.slope[i] < 0.f ? a : b;
        enter = low > enter ? low : enter;
        leave = high < leave ? high : leave;
        if (!(cells.last[i] > cells.first[i])) return march;  // nothing at all
    }
    if (!(leave >= enter)) return march;
    const float limit = static_cast<float>(kMaxSteps);
    const float begin = (enter - near) * march.per_step - jitter - 2.f;
    const float end = (leave - near) * march.per_step - jitter + 2.f;
    if (begin > static_cast<float>(next)) march.next = begin < limit ? static_cast<int>(begin) : kMaxSteps;
    march.end = end < limit ? static_cast<int>(end) + 1 : kMaxSteps;
    return march;
}

// Depths of steps march.next and on.
GENEFACE_INLINE Float march_depths(const March& march) {
    const Float k = to_float(set1(march.next) + iota());
    return set1(march.near) + product(k + set1(march.jitter), set1(march.step));
}

// Which of these depths are samples: in an occupied cell, before the far end. Bit i is lane i.
GENEFACE_INLINE unsigned occupied_lanes(const March& march, const MarchGrid& cells, Float depths) {
    const int size = cells.grid.size;
    Mask inside = depths < set1(march.far);
    Int cell[3];
    for (int i = 0; i < 3; ++i) {
        const Float u = set1(march.ray.start[i]) + product(depths, set1(march.ray.slope[i]));
        inside = inside & (u >= zero()) & (u < set1(static_cast<float>(size)));
        cell[i] = to_int(u);
    }
    if (!bits(inside)) return 0;
    const Int number = select(inside, cell[0] + set1(size) * (cell[1] + set1(size) * cell[2]), set1(0));
    const Int word = gather(cells.words, shift_right<5>(number));
    return bits(inside & ((shift_right(word, number & set1(31)) & set1(1)) == set1(1)));
}

// Number of the lowest bit set.
GENEFACE_INLINE int lowest_bit(uint64_t bits) {
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int i = 0;
    while (!(bits >> i & 1u)) ++i;
    return i;
#endif
}

GENEFACE_INLINE int count_bits(unsigned bits) {
#if defined(__GNUC__)
    return __builtin_popcount(bits);
#else
    int count = 0;
    for (; bits; bits &= bits - 1) ++count;
    return count;
#endif
}

// The next samples, at most `max_samples`; their depths go to t where it is not null. Returns their number;
// march.next is then the step after the last of them, or kMaxSteps where there were fewer.
GENEFACE_INLINE int march_on(March& march, const MarchGrid& cells, int max_samples, float* t) {
    if (max_samples <= 0) return 0;
    int count = 0;
    for (; march.next < march.end; march.next += kLanes) {
        const Float depths = march_depths(march);
        const unsigned found = occupied_lanes(march, cells, depths);
        const int room = max_samples - count, number = count_bits(found);
        if (t && found) {
            float lanes[kLanes];
            store(lanes, depths);
            int slot = count;
            for (unsigned left = found; left && slot < max_samples; left &= left - 1)
                t[slot++] = lanes[lowest_bit(left)];
        }
        if (number >= room) {
            unsigned left = found;
            for (int i = 1; i < room; ++i) left &= left - 1;
            march.next += lowest_bit(left) + 1;
            return max_samples;
        }
        count += number;
    }
    march.next = kMaxSteps;
    return count;
}

}  // namespace geneface
