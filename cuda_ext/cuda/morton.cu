// Morton codes on CUDA: one thread per code.
#include "../include/morton.h"

#include "../include/geneface_ops.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::thread_index;

__global__ void encode(int64_t n, int dims, const int32_t* __restrict__ coordinates, int64_t* __restrict__ codes) {
    const int64_t i = thread_index();
    if (i < n) codes[i] = geneface::morton_encode(coordinates + i * dims, dims);
}

__global__ void decode(int64_t n, int dims, const int64_t* __restrict__ codes, int32_t* __restrict__ coordinates) {
    const int64_t i = thread_index();
    if (i < n) geneface::morton_decode(codes[i], dims, coordinates + i * dims);
}

}  // namespace

int geneface_morton_encode(int64_t n, int32_t dims, const int32_t* coordinates, int64_t* codes, intptr_t context) {
    return launch(encode, n, context, n, dims, coordinates, codes);
}

int geneface_morton_decode(int64_t n, int32_t dims, const int64_t* codes, int32_t* coordinates, intptr_t context) {
    return launch(decode, n, context, n, dims, codes, coordinates);
}
