// Threads of the CPU kernels.
//
// A pool of our own rather than OpenMP: a second OpenMP runtime beside PyTorch's keeps its threads
// spinning after each loop, and on few cores that takes the time the next PyTorch op needs.
#pragma once
#include <cstdint>
#include <functional>

namespace geneface {

// Call task(i) for i in 0..count-1 on up to `threads` threads, the caller among them; returns when all
// are done. Tasks start in order and must not write to the same memory, so that results do not depend
// on the number of threads.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& task);

// The same over [0, n) in pieces of `grain`: task(begin, end).
inline void parallel_ranges(int64_t n, int64_t grain, int threads,
                            const std::function<void(int64_t, int64_t)>& task) {
    parallel_for((n + grain - 1) / grain, threads, [&](int64_t i) {
        task(i * grain, (i + 1) * grain < n ? (i + 1) * grain : n);
    });
}

}  // namespace geneface
