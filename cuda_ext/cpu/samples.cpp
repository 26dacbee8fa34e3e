// Spherical harmonics, compositing and bit packing on the CPU: loops over the shared per-sample maths.
#include "../include/geneface_ops.h"
#include "../include/spherical_harmonics.h"
#include "../include/volume.h"
#include "parallel.h"

namespace {
constexpr int64_t kSamples = 4096;  // samples, or cells, of one task
constexpr int64_t kRays = 128;      // rays of one task
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

int geneface_composite(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                       const float* dt, const int64_t* offsets, float early_stop, float* image, float* alpha,
                       float* depth, intptr_t context) {
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::composite_ray(sigma, rgb, t, dt, offsets[i], offsets[i + 1], channels, early_stop,
                                    image + i * channels, alpha[i], depth[i]);
    });
    return 0;
}

int geneface_composite_backward(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                                const float* dt, const int64_t* offsets, float early_stop, const float* grad_image,
                                const float* grad_alpha, const float* grad_depth, float* grad_sigma, float* grad_rgb,
                                intptr_t context) {
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::composite_ray_backward(sigma, rgb, t, dt, offsets[i], offsets[i + 1], channels, early_stop,
                                             grad_image + i * channels, grad_alpha[i], grad_depth[i], grad_sigma,
                                             grad_rgb);
    });
    return 0;
}

int geneface_pack_bits(int64_t k, const float* density, float threshold, uint8_t* bits, intptr_t context) {
    geneface::parallel_ranges((k + 7) / 8, kSamples, static_cast<int>(context), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            unsigned byte = 0;
            for (int64_t bit = 0; bit < 8 && 8 * i + bit < k; ++bit)
                byte |= static_cast<unsigned>(density[8 * i + bit] > threshold) << bit;
            bits[i] = static_cast<uint8_t>(byte);
        }
    });
    return 0;
}

int geneface_abi_version() { return GENEFACE_ABI_VERSION; }
