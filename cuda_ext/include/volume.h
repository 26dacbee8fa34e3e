// Volume rendering along one ray (Max 1995): values and gradients.
#pragma once
#include "host_device.h"

namespace geneface {

// Opacity of an interval of optical depth `optical`.
GENEFACE_HD float opacity(float optical) { return -expm1f(-optical); }

// Opacity of sample i from density and length. What composites takes any such function: the CPU works all
// opacities out beforehand, in vectors.
struct OpacityOfSample {
    const float *sigma, *dt;
    GENEFACE_HD float operator()(int64_t i) const { return opacity(sigma[i] * dt[i]); }
};

// Transmittance is kept in double: 1 - a in float would lose most of a faint sample's opacity, always to
// the same side.

// Further samples begin..end of a ray that has let `transmittance` through so far: adds to image [channels], alpha
// and depth.
template <class Opacity>
GENEFACE_HD void composite_further(const Opacity& opacity_of, const float* rgb, const float* t, int64_t begin,
                                   int64_t end, int channels, float early_stop, float& transmittance, float* image,
                                   float& alpha, float& depth) {
    double through = transmittance;
    float weight_sum = alpha, weighted_depth = depth;
    for (int64_t i = begin; i < end && through >= early_stop; ++i) {
        const float a = opacity_of(i);
        const float weight = static_cast<float>(through) * a;
        for (int c = 0; c < channels; ++c) image[c] += weight * rgb[i * channels + c];
        weight_sum += weight;
        weighted_depth += weight * t[i];
        through *= 1. - a;
    }
    transmittance = static_cast<float>(through);
    alpha = weight_sum;
    depth = weighted_depth;
}

// Samples begin..end of one ray -> image [channels] (overwritten), alpha, depth.
template <class Opacity>
GENEFACE_HD void composite_ray(const Opacity& opacity_of, const float* rgb, const float* t, int64_t begin, int64_t end,
                               int channels, float early_stop, float* image, float& alpha, float& depth) {
    for (int c = 0; c < channels; ++c) image[c] = 0.f;
    float transmittance = 1.f;
    alpha = depth = 0.f;
    composite_further(opacity_of, rgb, t, begin, end, channels, early_stop, transmittance, image, alpha, depth);
}

// Weights of the samples of one ray: their shares of its light, zero behind the early stop.
template <class Opacity>
GENEFACE_HD void weigh_ray(const Opacity& opacity_of, int64_t begin, int64_t end, float early_stop, float* weights) {
    double transmittance = 1.;
    for (int64_t i = begin; i < end; ++i) {
        if (!(transmittance >= early_stop)) {
            weights[i] = 0.f;
            continue;
        }
        const float a = opacity_of(i);
        weights[i] = static_cast<float>(transmittance) * a;
        transmittance *= 1. - a;
    }
}

// Gradients of one ray. With v_i = grad_image . rgb_i + grad_alpha + grad_depth t_i, the loss is
// sum w_i v_i up to a constant, and d loss / d(sigma_i dt_i) = T_(i+1) v_i - sum over j > i of w_j v_j.
// The sum over j > i is the total less a running sum, so that two forward walks suffice.
template <class Opacity>
GENEFACE_HD void composite_ray_backward(const Opacity& opacity_of, const float* rgb, const float* t, const float* dt,
                                        int64_t begin, int64_t end, int channels, float early_stop,
                                        const float* grad_image, float grad_alpha, float grad_depth,
                                        float* grad_sigma, float* grad_rgb) {
    double transmittance = 1.;
    double later = 0.;  // double: what is left of it after the subtractions must keep float precision
    for (int64_t i = begin; i < end && transmittance >= early_stop; ++i) {
        const float a = opacity_of(i);
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
        const float a = opacity_of(i);
        const float value = grad_sigma[i];
        later -= static_cast<double>(static_cast<float>(transmittance) * a) * value;
        transmittance *= 1. - a;
        grad_sigma[i] = static_cast<float>(transmittance * value - later) * dt[i];
    }
}

// Position [3] at depth t. Rounded twice, as the fused renderer does: fine levels of a grid show the last bit.
GENEFACE_HD void point_on_ray(const float* o, const float* d, float t, float* x) {
    for (int c = 0; c < 3; ++c) x[c] = o[c] + product(t, d[c]);
}

// Gradients of positions of a ray's samples -> of its origin and direction [3].
GENEFACE_HD void point_gradients(const float* t, const float* grad_x, int64_t begin, int64_t end, float* grad_o,
                                 float* grad_d) {
    float o[3] = {0.f, 0.f, 0.f}, d[3] = {0.f, 0.f, 0.f};
    for (int64_t i = begin; i < end; ++i)
        for (int c = 0; c < 3; ++c) {
            o[c] += grad_x[3 * i + c];
            d[c] += t[i] * grad_x[3 * i + c];
        }
    for (int c = 0; c < 3; ++c) grad_o[c] = o[c], grad_d[c] = d[c];
}

}  // namespace geneface
