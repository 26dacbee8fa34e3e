// Launching CUDA kernels: one thread per element.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace geneface {

constexpr int kThreads = 128;

// Index of this thread among all.
__device__ __forceinline__ int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

// Call kernel<<<...>>>(arguments...) with at least `count` threads; nothing to do is no launch.
template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), int64_t count, intptr_t context, Arguments... arguments) {
    if (count <= 0) return 0;
    const dim3 blocks(static_cast<unsigned>((count + kThreads - 1) / kThreads));
    kernel<<<blocks, kThreads, 0, reinterpret_cast<cudaStream_t>(context)>>>(static_cast<Parameters>(arguments)...);
    return static_cast<int>(cudaGetLastError());
}

}  // namespace geneface
