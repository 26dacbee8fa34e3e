// Rays through a head field in one pass on the CPU. Built without floating-point contraction.
//
// With vectors, packets of rays; without, ray by ray through the maths that CUDA shares.
#include "../include/field.h"

#include <memory>
#include <vector>

#include "parallel.h"
#include "ray_packet.h"

namespace geneface {
namespace {

#if defined(__AVX2__)

template <class Precision, class Entry>
void render(const Field& field, const MarchGrid& cells, const RayTask& task, int threads) {
    const PacketField<Precision, Entry> packet_field(field);
    RayQueue queue{task.rays};
    parallel_for(threads, threads, [&](int64_t) {
        const auto packet = std::make_unique<RayPacket<Precision, Entry>>(packet_field, cells, task, queue);
        packet->run();
    });
}

void render(const Field& field, const RayTask& task, bool bf16, int threads) {
    const MarchGrid cells(field.occupancy, field.grid_size, field.aabb, false);
    if (bf16)
        render<BFloat16, uint16_t>(field, cells, task, threads);
    else
        render<Float32, float>(field, cells, task, threads);
}

#else

void render(const Field& field, const RayTask& task, bool bf16, int threads) {
    const MarchGrid cells(field.occupancy, field.grid_size, field.aabb, true);
    const auto one = bf16 ? render_ray<uint16_t> : render_ray<float>;
    parallel_ranges(task.rays, RayQueue::kRun, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            Gathered light;
            const int count = one(field, cells.grid, task.rays_o + 3 * i, task.rays_d + 3 * i, task.min_near, task.step,
                                  task.max_samples, task.early_stop, light);
            for (int c = 0; c < 3; ++c) task.image[3 * i + c] = light.rgb[c];
            task.alpha[i] = light.alpha, task.depth[i] = light.depth;
            if (task.samples) task.samples[i] = count;
        }
    });
}

#endif

}  // namespace
}  // namespace geneface

int geneface_render_rays(const geneface_field* given, int64_t n, const float* rays_o, const float* rays_d,
                         float min_near, float step, int32_t max_samples, float early_stop, float* image, float* alpha,
                         float* depth, int32_t* samples, int64_t*, intptr_t context) {
    geneface::Field field;
    if (!geneface::make_field(*given, field)) return -1;
    const geneface::RayTask task = {n, rays_o, rays_d, min_near, step, max_samples, early_stop, image, alpha, depth, samples};
    geneface::render(field, task, given->bf16 != 0, static_cast<int>(context));
    return 0;
}
