// Volume rendering along one ray (Max 1995): values and gradients.
#pragma once
#include "host_device.h"

namespace geneface {

// Opacity of an interval of optical depth `optical`.
GENEFACE_HD float opacity(float optical) { return -expm1f(-optical); }

// Transmittance is kept in double: 1 - a in float would lose most of a faint sample's opacity, always to
// the same side.

// Samples begin..end of one ray -> image [channels] (overwritten), alpha, depth.
GENEFACE_HD void composite_ray(const float* sigma, const float* rgb, const float* t, const float* dt, int64_t begin,
                               int64_t end, int channels, float early_stop, float* image, float& alpha,
                               float& depth) {
    for (int c = 0; c < channels; ++c) image[c] = 0.f;
    double transmittance = 1.;
    float weight_sum = 0.f, weighted_depth = 0.f;
    for (int64_t i = begin; i < end && transmittance >= early_stop; ++i) {
        const float a = opacity(sigma[i] * dt[i]);
        const float weight = static_cast<float>(transmittance) * a;
        for (int c = 0; c < channels; ++c) image[c] += weight * rgb[i * channels + c];
        weight_sum += weight;
        weighted_depth += weight * t[i];
        transmittance *= 1. - a;
    }
    alpha = weight_sum;
    depth = weighted_depth;
}

// Gradients of one ray. With v_i = grad_image . rgb_i + grad_alpha + grad_depth t_i, the loss is
// sum w_i v_i up to a constant, and d loss / d(sigma_i dt_i) = T_(i+1) v_i - sum over j > i of w_j v_j.
// The sum over j > i is the total less a running sum, so that two forward walks suffice.
GENEFACE_HD void composite_ray_backward(const float* sigma, const float* rgb, const float* t, const float* dt,
                                        int64_t begin, int64_t end, int channels, float early_stop,
                                        const float* grad_image, float grad_alpha, float grad_depth,
                                        float* grad_sigma, float* grad_rgb) {
    double transmittance = 1.;
    double later = 0.;  // double: what is left of it after the subtractions must keep float precision
    for (int64_t i = begin; i < end && transmittance >= early_stop; ++i) {
        const float a = opacity(sigma[i] * dt[i]);
        const float weight = static_cast<float>(transmittance) * a;
        float value = grad_alpha + grad_depth * t[i];
        for (int c = 0; c < channels; ++c) {
            value += grad_image[c] * rgb[i * channels + c];
            grad_rgb[i * channels + c] = weight * grad_image[c];
        }
        later += static_cast<double>(weight) * value;
        grad_sigma[i] = value;  // kept for the second walk
        transmittance *= 1. - a;
    }
    transmittance = 1.;
    for (int64_t i = begin; i < end && transmittance >= early_stop; ++i) {
        const float a = opacity(sigma[i] * dt[i]);
        const float value = grad_sigma[i];
        later -= static_cast<double>(static_cast<float>(transmittance) * a) * value;
        transmittance *= 1. - a;
        grad_sigma[i] = static_cast<float>(transmittance * value - later) * dt[i];
    }
}

}  // namespace geneface
