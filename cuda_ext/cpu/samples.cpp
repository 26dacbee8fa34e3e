// Spherical harmonics on the CPU: loops over the shared per-sample maths.
#include "../include/geneface_ops.h"
#include "../include/spherical_harmonics.h"
#include "parallel.h"

namespace {
constexpr int64_t kSamples = 4096;  // samples of one task
}  // namespace

int geneface_spherical_harmonics(int64_t n, int32_t degree, const float* dirs, float* out, intptr_t context) {
    geneface::parallel_ranges(n, kSamples, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::spherical_harmonics(dirs[3 * i], dirs[3 * i + 1], dirs[3 * i + 2], degree,
                                          out + i * degree * degree);
    });
    return 0;
}

int geneface_spherical_harmonics_backward(int64_t n, int32_t degree, const float* dirs, const float* grad_out,
                                          float* grad_dirs, intptr_t context) {
    geneface::parallel_ranges(n, kSamples, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::spherical_harmonics_backward(dirs[3 * i], dirs[3 * i + 1], dirs[3 * i + 2], degree,
                                                   grad_out + i * degree * degree, grad_dirs[3 * i],
                                                   grad_dirs[3 * i + 1], grad_dirs[3 * i + 2]);
    });
    return 0;
}

int geneface_abi_version() { return GENEFACE_ABI_VERSION; }
