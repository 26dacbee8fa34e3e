// Launching CUDA kernels. Outside nvcc, tests/ops/cuda_on_cpu takes the place of the CUDA runtime.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace geneface {

constexpr int kThreads = 128;

// Index of this thread among all.
__device__ __forceinline__ int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

inline cudaStream_t stream_of(intptr_t context) { return reinterpret_cast<cudaStream_t>(context); }

// Call kernel(arguments...) in `blocks` blocks with `shared` bytes of dynamic shared memory; none is no launch.
template <class... Parameters, class... Arguments>
int launch_blocks(void (*kernel)(Parameters...), int64_t blocks, int threads, size_t shared, intptr_t context,
                  Arguments... arguments) {
    if (blocks <= 0) return 0;
    const dim3 grid(static_cast<unsigned>(blocks)), block(static_cast<unsigned>(threads));
#if defined(__CUDACC__)
    kernel<<<grid, block, shared, stream_of(context)>>>(static_cast<Parameters>(arguments)...);
#else
    emulation::run(grid, block, shared, [&] { kernel(static_cast<Parameters>(arguments)...); });
#endif
    return static_cast<int>(cudaGetLastError());
}

// Call kernel(arguments...) with at least `count` threads.
template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), int64_t count, intptr_t context, Arguments... arguments) {
    return launch_blocks(kernel, (count + kThreads - 1) / kThreads, kThreads, 0, context, arguments...);
}

// The block's dynamic shared memory, aligned to 16 bytes.
template <class T>
__device__ __forceinline__ T* shared_memory() {
#if defined(__CUDACC__)
    extern __shared__ __align__(16) unsigned char storage[];
    return reinterpret_cast<T*>(storage);
#else
    return emulation::shared_memory<T>();
#endif
}

}  // namespace geneface
