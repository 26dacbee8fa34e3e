// Morton codes on the CPU.
#include "../include/geneface_ops.h"
#include "../include/morton.h"
#include "parallel.h"

namespace {
constexpr int64_t kCodes = 16384;  // codes of one task
}  // namespace

int geneface_morton_encode(int64_t n, int32_t dims, const int32_t* coordinates, int64_t* codes, intptr_t context) {
    geneface::parallel_ranges(n, kCodes, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) codes[i] = geneface::morton_encode(coordinates + i * dims, dims);
    });
    return 0;
}

int geneface_morton_decode(int64_t n, int32_t dims, const int64_t* codes, int32_t* coordinates, intptr_t context) {
    geneface::parallel_ranges(n, kCodes, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) geneface::morton_decode(codes[i], dims, coordinates + i * dims);
    });
    return 0;
}
