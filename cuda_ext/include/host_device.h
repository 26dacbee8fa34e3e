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
