// Spherical harmonics and compositing on CUDA: one thread per sample or ray.
#include "../include/geneface_ops.h"
#include "../include/spherical_harmonics.h"
#include "../include/volume.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::thread_index;

__global__ void harmonics(int64_t n, int degree, const float* __restrict__ dirs, float* __restrict__ out) {
    const int64_t i = thread_index();
    if (i >= n) return;
    geneface::spherical_harmonics(dirs[3 * i], dirs[3 * i + 1], dirs[3 * i + 2], degree, out + i * degree * degree);
}

__global__ void harmonics_backward(int64_t n, int degree, const float* __restrict__ dirs,
                                   const float* __restrict__ grad_out, float* __restrict__ grad_dirs) {
    const int64_t i = thread_index();
    if (i >= n) return;
    geneface::spherical_harmonics_backward(dirs[3 * i], dirs[3 * i + 1], dirs[3 * i + 2], degree,
                                           grad_out + i * degree * degree, grad_dirs[3 * i], grad_dirs[3 * i + 1],
                                           grad_dirs[3 * i + 2]);
}

__global__ void compose(int64_t n, int channels, const float* sigma, const float* rgb, const float* t,
                        const float* dt, const int64_t* offsets, float early_stop, float* image, float* alpha,
                        float* depth) {
    const int64_t i = thread_index();
    if (i >= n) return;
    geneface::composite_ray(geneface::OpacityOfSample{sigma, dt}, rgb, t, offsets[i], offsets[i + 1], channels,
                            early_stop, image + i * channels, alpha[i], depth[i]);
}

__global__ void compose_backward(int64_t n, int channels, const float* sigma, const float* rgb, const float* t,
                                 const float* dt, const int64_t* offsets, float early_stop, const float* grad_image,
                                 const float* grad_alpha, const float* grad_depth, float* grad_sigma,
                                 float* grad_rgb) {
    const int64_t i = thread_index();
    if (i >= n) return;
    geneface::composite_ray_backward(geneface::OpacityOfSample{sigma, dt}, rgb, t, dt, offsets[i], offsets[i + 1], channels,
                                     early_stop, grad_image + i * channels, grad_alpha[i], grad_depth[i], grad_sigma,
                                     grad_rgb);
}

}  // namespace

int geneface_spherical_harmonics(int64_t n, int32_t degree, const float* dirs, float* out, intptr_t context) {
    return launch(harmonics, n, context, n, degree, dirs, out);
}

int geneface_spherical_harmonics_backward(int64_t n, int32_t degree, const float* dirs, const float* grad_out,
                                          float* grad_dirs, intptr_t context) {
    return launch(harmonics_backward, n, context, n, degree, dirs, grad_out, grad_dirs);
}

int geneface_composite(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                       const float* dt, const int64_t* offsets, float early_stop, float* image, float* alpha,
                       float* depth, intptr_t context) {
    return launch(compose, n, context, n, channels, sigma, rgb, t, dt, offsets, early_stop, image, alpha, depth);
}

int geneface_composite_backward(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                                const float* dt, const int64_t* offsets, float early_stop, const float* grad_image,
                                const float* grad_alpha, const float* grad_depth, float* grad_sigma, float* grad_rgb,
                                intptr_t context) {
    return launch(compose_backward, n, context, n, channels, sigma, rgb, t, dt, offsets, early_stop, grad_image,
                  grad_alpha, grad_depth, grad_sigma, grad_rgb);
}

int geneface_abi_version() { return GENEFACE_ABI_VERSION; }
