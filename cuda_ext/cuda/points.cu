// Points, weights and further stretches of rays on CUDA: one thread per ray.
#include "../include/geneface_ops.h"
#include "../include/volume.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::OpacityOfSample;
using geneface::thread_index;

__global__ void points(int64_t n, const float* __restrict__ rays_o, const float* __restrict__ rays_d,
                       const float* __restrict__ t, const int64_t* __restrict__ offsets, float* __restrict__ x,
                       int64_t* __restrict__ ray) {
    const int64_t i = thread_index();
    if (i >= n) return;
    for (int64_t sample = offsets[i]; sample < offsets[i + 1]; ++sample) {
        geneface::point_on_ray(rays_o + 3 * i, rays_d + 3 * i, t[sample], x + 3 * sample);
        ray[sample] = i;
    }
}

__global__ void points_backward(int64_t n, const float* __restrict__ t, const int64_t* __restrict__ offsets,
                                const float* __restrict__ grad_x, float* __restrict__ grad_o,
                                float* __restrict__ grad_d) {
    const int64_t i = thread_index();
    if (i < n)
        geneface::point_gradients(t, grad_x, offsets[i], offsets[i + 1], grad_o + 3 * i, grad_d + 3 * i);
}

__global__ void weigh(int64_t n, const float* __restrict__ sigma, const float* __restrict__ dt,
                      const int64_t* __restrict__ offsets, float early_stop, float* __restrict__ weights) {
    const int64_t i = thread_index();
    if (i < n) geneface::weigh_ray(OpacityOfSample{sigma, dt}, offsets[i], offsets[i + 1], early_stop, weights);
}

__global__ void compose_further(int64_t n, int channels, const int64_t* __restrict__ alive,
                                const float* __restrict__ sigma, const float* __restrict__ rgb,
                                const float* __restrict__ t, const float* __restrict__ dt,
                                const int64_t* __restrict__ offsets, float early_stop, float* transmittance,
                                float* image, float* alpha, float* depth) {
    const int64_t i = thread_index();
    if (i >= n) return;
    const int64_t ray = alive[i];
    geneface::composite_further(OpacityOfSample{sigma, dt}, rgb, t, offsets[i], offsets[i + 1], channels, early_stop,
                                transmittance[ray], image + ray * channels, alpha[ray], depth[ray]);
}

}  // namespace

int geneface_sample_points(int64_t n, const float* rays_o, const float* rays_d, const float* t, const int64_t* offsets,
                           float* x, int64_t* ray, intptr_t context) {
    return launch(points, n, context, n, rays_o, rays_d, t, offsets, x, ray);
}

int geneface_sample_points_backward(int64_t n, const float* t, const int64_t* offsets, const float* grad_x,
                                    float* grad_o, float* grad_d, intptr_t context) {
    return launch(points_backward, n, context, n, t, offsets, grad_x, grad_o, grad_d);
}

int geneface_composite_weights(int64_t n, const float* sigma, const float* dt, const int64_t* offsets,
                               float early_stop, float* weights, intptr_t context) {
    return launch(weigh, n, context, n, sigma, dt, offsets, early_stop, weights);
}

int geneface_composite_alive(int64_t n, int32_t channels, const int64_t* alive, const float* sigma, const float* rgb,
                             const float* t, const float* dt, const int64_t* offsets, float early_stop,
                             float* transmittance, float* image, float* alpha, float* depth, intptr_t context) {
    return launch(compose_further, n, context, n, channels, alive, sigma, rgb, t, dt, offsets, early_stop,
                  transmittance, image, alpha, depth);
}
