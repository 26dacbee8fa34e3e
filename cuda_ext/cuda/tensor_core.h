// Products of small tiles by the tensor cores: mma.sync with 16-bit floats and sums in float, as the PTX manual
// lays its fragments out over the lanes of a warp. With group = lane / 4 and member = lane % 4, a lane holds
//   of A (16 x 16): rows group and group + 8, columns 2 member, 2 member + 1, and these + 8;
//   of B (16 x 8):  rows 2 member, 2 member + 1, and these + 8 of column group;
//   of C (16 x 8):  rows group and group + 8, columns 2 member and 2 member + 1.
// So the sums of two neighbouring C tiles, made 16-bit, are just what a lane holds of the next product's A.
#pragma once
#include <cuda_runtime.h>
#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

#include <cstdint>

namespace geneface {

constexpr float kLargestHalf = 65504.f;

#if defined(__CUDACC__)

__device__ __forceinline__ uint32_t pair_of_halves(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
}

// c += A B for whole warps. a: {rows group, group + 8} x {first, last 8 columns}; b: {first, last 8 rows}.
__device__ __forceinline__ void multiply_tiles(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int half = 0; half < 2; ++half)
        asm volatile(
            "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};\n"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

#else  // tests/ops/cuda_on_cpu

__device__ inline uint32_t pair_of_halves(float low, float high) {
    return emulation::half_bits(low) | static_cast<uint32_t>(emulation::half_bits(high)) << 16;
}

__device__ inline void multiply_tiles(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulation::multiply_tiles(c, a, b);
}

#endif

// Held to the finite range of 16-bit floats; NaN, which would spread over a tile, becomes its lower end.
__device__ __forceinline__ float within_half(float value) {
    return fminf(fmaxf(value, -kLargestHalf), kLargestHalf);
}

}  // namespace geneface
