// Marks of functions that both the C++ and the CUDA compiler build.
#pragma once
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define GENEFACE_HD __host__ __device__ __forceinline__
#elif defined(_MSC_VER)
#define GENEFACE_HD __forceinline
#else
#define GENEFACE_HD inline __attribute__((always_inline))
#endif

#if defined(_MSC_VER)
#define GENEFACE_RESTRICT __restrict
#else
#define GENEFACE_RESTRICT __restrict__
#endif

namespace geneface {

// Product rounded to float on its own. A compiler that fused it into a following subtraction would give
// another value for the place of a sample in its cell than the definition does.
GENEFACE_HD float product(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;  // used for the cell number too, which keeps GCC and Clang from fusing it
#endif
}

// a * b + c with one rounding where the machine does that as fast, whatever the compiler's flags say.
GENEFACE_HD float multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__) || defined(__FMA__) || defined(__aarch64__)
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

}  // namespace geneface
