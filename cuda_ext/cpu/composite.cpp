// Compositing along rays on the CPU: opacities in vectors, then one ray after another.
#include <vector>

#include "../include/geneface_ops.h"
#include "../include/volume.h"
#include "opacity.h"
#include "parallel.h"

namespace {

constexpr int64_t kRays = 128;  // rays of one task

struct GivenOpacity {
    const float* values;
    int64_t first;  // sample that values[0] belongs to
    float operator()(int64_t i) const { return values[i - first]; }
};

// Run task(opacity_of, begin, end) over ranges of rays: opacity_of gives the opacity of any of their samples.
template <class Task>
void over_rays(int64_t n, const float* sigma, const float* dt, const int64_t* offsets, intptr_t context,
               const Task& task) {
    geneface::parallel_ranges(n, kRays, static_cast<int>(context), [&](int64_t begin, int64_t end) {
#if defined(__AVX2__)
        const int64_t first = offsets[begin], count = offsets[end] - first;
        std::vector<float> values(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; i += geneface::kLanes) {
            const int lanes = count - i < geneface::kLanes ? static_cast<int>(count - i) : geneface::kLanes;
            const geneface::Float optical =
                geneface::load(sigma + first + i, lanes) * geneface::load(dt + first + i, lanes);
            geneface::store(values.data() + i, geneface::opacity(optical), lanes);
        }
        task(GivenOpacity{values.data(), first}, begin, end);
#else
        task(geneface::OpacityOfSample{sigma, dt}, begin, end);  // as CUDA does
#endif
    });
}

}  // namespace

int geneface_composite(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                       const float* dt, const int64_t* offsets, float early_stop, float* image, float* alpha,
                       float* depth, intptr_t context) {
    over_rays(n, sigma, dt, offsets, context, [=](const auto& opacity_of, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::composite_ray(opacity_of, rgb, t, offsets[i], offsets[i + 1], channels, early_stop,
                                    image + i * channels, alpha[i], depth[i]);
    });
    return 0;
}

int geneface_composite_backward(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                                const float* dt, const int64_t* offsets, float early_stop, const float* grad_image,
                                const float* grad_alpha, const float* grad_depth, float* grad_sigma, float* grad_rgb,
                                intptr_t context) {
    over_rays(n, sigma, dt, offsets, context, [=](const auto& opacity_of, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::composite_ray_backward(opacity_of, rgb, t, dt, offsets[i], offsets[i + 1], channels, early_stop,
                                             grad_image + i * channels, grad_alpha[i], grad_depth[i], grad_sigma,
                                             grad_rgb);
    });
    return 0;
}

int geneface_composite_weights(int64_t n, const float* sigma, const float* dt, const int64_t* offsets,
                               float early_stop, float* weights, intptr_t context) {
    over_rays(n, sigma, dt, offsets, context, [=](const auto& opacity_of, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            geneface::weigh_ray(opacity_of, offsets[i], offsets[i + 1], early_stop, weights);
    });
    return 0;
}

int geneface_composite_alive(int64_t n, int32_t channels, const int64_t* alive, const float* sigma, const float* rgb,
                             const float* t, const float* dt, const int64_t* offsets, float early_stop,
                             float* transmittance, float* image, float* alpha, float* depth, intptr_t context) {
    over_rays(n, sigma, dt, offsets, context, [=](const auto& opacity_of, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t ray = alive[i];
            geneface::composite_further(opacity_of, rgb, t, offsets[i], offsets[i + 1], channels, early_stop,
                                        transmittance[ray], image + ray * channels, alpha[ray], depth[ray]);
        }
    });
    return 0;
}
