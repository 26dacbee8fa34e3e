// Adam on CUDA: one thread per number; those at rest are only looked at.
#include "../include/geneface_ops.h"
#include "launch.h"

namespace {

using geneface::thread_index;

__global__ void adam(int64_t n, float* __restrict__ value, const float* __restrict__ grad, float* __restrict__ mean,
                     float* __restrict__ square, float rate, float mean_decay, float square_decay, float square_scale,
                     float eps) {
    const int64_t i = thread_index();
    if (i >= n) return;
    const float g = grad[i], before = mean[i];
    if (g == 0.f && before == 0.f) return;
    const float m = fmaf(mean_decay, before, (1.f - mean_decay) * g);
    const float v = fmaf(square_decay, square[i], (1.f - square_decay) * (g * g));
    mean[i] = m;
    square[i] = v;
    value[i] = fmaf(-rate, m / fmaf(sqrtf(v), square_scale, eps), value[i]);
}

}  // namespace

int geneface_adam(int64_t n, float* value, const float* grad, float* mean, float* square, float rate, float mean_decay,
                  float square_decay, float square_scale, float eps, intptr_t context) {
    return geneface::launch(adam, n, context, n, value, grad, mean, square, rate, mean_decay, square_decay,
                            square_scale, eps);
}
