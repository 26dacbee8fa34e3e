// Z-buffer rasterisation on CUDA. Built with --fmad=false.
//
// One thread per triangle; a pixel's nearest triangle is the least of 64-bit keys, depth above index, so
// that the order in which threads arrive does not matter. A second pass interpolates the winners.
#include "../include/geneface_ops.h"
#include "../include/raster.h"
#include "launch.h"

namespace {

using geneface::launch;
using geneface::thread_index;

constexpr unsigned long long kNone = ~0ull;

__global__ void nearest(const float* __restrict__ vertices, int64_t v, const int32_t* __restrict__ triangles,
                        int64_t f, int height, int width, unsigned long long* __restrict__ keys) {
    const int64_t i = thread_index();
    geneface::Triangle triangle;
    if (i >= f || !geneface::set_up(vertices, v, triangles + 3 * i, height, width, triangle)) return;
    for (int row = triangle.top; row <= triangle.bottom; ++row)
        for (int column = triangle.left; column <= triangle.right; ++column) {
            double weights[3], z;
            if (!geneface::interpolate(triangle, column, row, weights, z)) continue;
            // A positive float's bits sort like the float.
            const unsigned long long depth = __float_as_uint(static_cast<float>(z));
            atomicMin(keys + int64_t(row) * width + column, depth << 32 | static_cast<unsigned long long>(i));
        }
}

__global__ void shade(const float* __restrict__ vertices, int64_t v, const int32_t* __restrict__ triangles,
                      int height, int width, const unsigned long long* __restrict__ keys, int32_t* __restrict__ face,
                      float* __restrict__ barycentric, float* __restrict__ depth) {
    const int64_t pixel = thread_index();
    if (pixel >= int64_t(height) * width) return;
    double weights[3] = {0., 0., 0.}, z = 0.;
    int64_t winner = -1;
    if (keys[pixel] != kNone) {
        winner = static_cast<int64_t>(keys[pixel] & 0xffffffffull);
        geneface::Triangle triangle;
        geneface::set_up(vertices, v, triangles + 3 * winner, height, width, triangle);
        geneface::interpolate(triangle, static_cast<int>(pixel % width), static_cast<int>(pixel / width), weights, z);
    }
    face[pixel] = static_cast<int32_t>(winner);
    depth[pixel] = static_cast<float>(z);
    for (int k = 0; k < 3; ++k) barycentric[3 * pixel + k] = static_cast<float>(weights[k]);
}

}  // namespace

int geneface_rasterize(const float* vertices, int64_t v, const int32_t* triangles, int64_t f, int32_t height,
                       int32_t width, int32_t* face, float* barycentric, float* depth, int64_t* scratch,
                       intptr_t context) {
    auto* keys = reinterpret_cast<unsigned long long*>(scratch);
    const int64_t pixels = int64_t(height) * width;
    int code = static_cast<int>(
        cudaMemsetAsync(keys, 0xff, pixels * sizeof(*keys), reinterpret_cast<cudaStream_t>(context)));
    if (!code) code = launch(nearest, f, context, vertices, v, triangles, f, height, width, keys);
    if (!code)
        code = launch(shade, pixels, context, vertices, v, triangles, height, width, keys, face, barycentric, depth);
    return code;
}
