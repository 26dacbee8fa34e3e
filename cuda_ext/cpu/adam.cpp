// Adam in one pass over memory; numbers with neither gradient nor momentum are only looked at.
#include "../include/geneface_ops.h"
#include "parallel.h"
#include "simd.h"

namespace {

constexpr int64_t kChunk = 1 << 14;

}  // namespace

int geneface_adam(int64_t n, float* value, const float* grad, float* mean, float* square, float rate, float mean_decay,
                  float square_decay, float square_scale, float eps, intptr_t context) {
    using namespace geneface;
    const Float keep_mean = set1(mean_decay), keep_square = set1(square_decay);
    const Float new_mean = set1(1.f - mean_decay), new_square = set1(1.f - square_decay);
    const Float scale = set1(square_scale), least = set1(eps), step = set1(-rate);
    // Takes the first `count` lanes from i on.
    const auto update = [&](int64_t i, int count) {
        const Float g = load(grad + i, count);
        const Float old_mean = load(mean + i, count);
        const Mask none = (g <= zero()) & (zero() <= g) & (old_mean <= zero()) & (zero() <= old_mean);
        if (bits(none) == bits(first_lanes(kLanes))) return;
        const Float old_square = load(square + i, count), old_value = load(value + i, count);
        const Float m = fma(keep_mean, old_mean, new_mean * g);
        const Float v = fma(keep_square, old_square, new_square * (g * g));
        const Float moved = fma(step, m / fma(sqrt(v), scale, least), old_value);
        store(mean + i, m, count);
        store(square + i, select(none, old_square, v), count);
        store(value + i, moved, count);
    };
    parallel_ranges(n, kChunk, static_cast<int>(context), [&](int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) update(i, kLanes);
        if (i < end) update(i, static_cast<int>(end - i));
    });
    return 0;
}
