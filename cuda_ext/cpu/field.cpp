// Rays through a head field in one pass on the CPU. Built without floating-point contraction.
#include "../include/field.h"

#include "parallel.h"

namespace {

constexpr int64_t kRays = 64;  // rays of one task

template <class Entry>
void render(const geneface::Field& field, const geneface::OccupancyGrid& grid, int64_t n, const float* rays_o,
            const float* rays_d, float min_near, float step, int max_samples, float early_stop, float* image,
            float* alpha, float* depth, int32_t* samples, int threads) {
    geneface::parallel_ranges(n, kRays, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            geneface::Gathered light;
            const int count = geneface::render_ray<Entry>(field, grid, rays_o + 3 * i, rays_d + 3 * i, min_near, step,
                                                          max_samples, early_stop, light);
            for (int c = 0; c < 3; ++c) image[3 * i + c] = light.rgb[c];
            alpha[i] = light.alpha, depth[i] = light.depth;
            if (samples) samples[i] = count;
        }
    });
}

}  // namespace

int geneface_render_rays(const geneface_field* given, int64_t n, const float* rays_o, const float* rays_d,
                         float min_near, float step, int32_t max_samples, float early_stop, float* image, float* alpha,
                         float* depth, int32_t* samples, int64_t*, intptr_t context) {
    geneface::Field field;
    if (!geneface::make_field(*given, field)) return -1;
    geneface::OccupancyGrid grid = geneface::make_occupancy_grid(field.occupancy, field.grid_size, field.aabb);
    const auto run = given->bf16 ? render<uint16_t> : render<float>;
    run(field, grid, n, rays_o, rays_d, min_near, step, max_samples, early_stop, image, alpha, depth, samples,
        static_cast<int>(context));
    return 0;
}
