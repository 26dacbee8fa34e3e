// Rays through a whole head field on CUDA: one kernel, no copies to the host and no waiting, so that a graph can
// hold it. Built with --fmad=false, as ../include/field.h asks.
#include "../include/field.h"

#include "field_float.h"
#include "field_half.h"
#include "launch.h"

namespace geneface {
namespace {

using RenderKernel = void (*)(Field, Rays);

// Width of blocks, and the number of them that the device can hold at once.
struct Occupation {
    int threads = 0;
    int64_t blocks = 0;
    size_t shared = 0;
};

// The widest occupation of the device by blocks of up to 256 threads. `shared(threads)` are the bytes that a block
// needs. Zero threads where even a block of one warp asks for too much.
template <class Shared>
int occupy(RenderKernel kernel, Shared shared, Occupation& best) {
    int device = 0, processors = 0, most = 0;
    int code = static_cast<int>(cudaGetDevice(&device));
    if (!code) code = static_cast<int>(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
    if (!code)
        code = static_cast<int>(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    if (code) return code;
    code = static_cast<int>(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
    for (int threads = 256; !code && threads >= kWarp; threads /= 2) {
        const size_t bytes = shared(threads);
        int blocks = 0;
        if (bytes > static_cast<size_t>(most)) continue;
        code = static_cast<int>(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, bytes));
        const int64_t all = int64_t(blocks) * processors;
        if (!code && all * threads > best.blocks * best.threads) best = Occupation{threads, all, bytes};
    }
    return code;
}

template <class Shared>
int render(RenderKernel kernel, Shared shared, const Field& field, const Rays& rays, intptr_t context) {
    Occupation best;
    if (const int code = occupy(kernel, shared, best)) return code;
    if (best.threads == 0) return -1;
    const int code =
        static_cast<int>(cudaMemsetAsync(rays.next, 0, sizeof(*rays.next), stream_of(context)));
    if (code) return code;
    const int64_t needed = (rays.count + best.threads - 1) / best.threads;
    return launch_blocks(kernel, needed < best.blocks ? needed : best.blocks, best.threads, best.shared, context,
                         field, rays);
}

template <class Entry>
int render_in_float(const Field& field, const Rays& rays, intptr_t context) {
    const size_t thread_bytes = thread_values(field) * sizeof(float);
    return render(render_float<Entry>, [=](int threads) { return threads * thread_bytes; }, field, rays, context);
}

template <int Hidden>
int render_in_half(const Field& field, const Rays& rays, intptr_t context) {
    const HalfLayout layout = half_layout(field);
    return render(render_half<Hidden>, [=](int threads) { return layout.bytes(threads / kWarp); }, field, rays,
                  context);
}

}  // namespace
}  // namespace geneface

int geneface_render_rays(const geneface_field* given, int64_t n, const float* rays_o, const float* rays_d,
                         float min_near, float step, int32_t max_samples, float early_stop, float* image,
                         float* alpha, float* depth, int32_t* samples, int64_t* scratch, intptr_t context) {
    using namespace geneface;
    Field field;
    if (!make_field(*given, field)) return -1;
    if (n <= 0) return 0;
    const uintptr_t row = given->bf16 ? 4 : 8;  // bytes, read at once
    if (reinterpret_cast<uintptr_t>(field.position_table) % row || reinterpret_cast<uintptr_t>(field.motion_table) % row)
        return -1;
    const Rays rays{rays_o, rays_d, n,       min_near, step,    early_stop,
                    max_samples, image, alpha, depth,    samples, reinterpret_cast<unsigned long long*>(scratch)};
    if (!given->bf16) return render_in_float<float>(field, rays, context);
    int code = -1;
    switch (field.hidden) {  // tensor cores multiply tiles; the widths in use have kernels
        case 32: code = render_in_half<32>(field, rays, context); break;
        case 64: code = render_in_half<64>(field, rays, context); break;
        case 128: code = render_in_half<128>(field, rays, context); break;
    }
    return code == -1 ? render_in_float<uint16_t>(field, rays, context) : code;
}
