// Z-buffer rasterisation on the CPU: threads own bands of rows. Built without floating-point contraction.
#include <vector>

#include "../include/geneface_ops.h"
#include "../include/raster.h"
#include "parallel.h"

int geneface_rasterize(const float* vertices, int64_t v, const int32_t* triangles, int64_t f, int32_t height,
                       int32_t width, int32_t* face, float* barycentric, float* depth, int64_t*, intptr_t context) {
    const int threads = static_cast<int>(context);
    std::vector<geneface::Triangle> drawn;
    std::vector<int32_t> number;
    drawn.reserve(f);
    number.reserve(f);
    for (int64_t i = 0; i < f; ++i) {
        geneface::Triangle triangle;
        if (!geneface::set_up(vertices, v, triangles + 3 * i, height, width, triangle)) continue;
        drawn.push_back(triangle);
        number.push_back(static_cast<int32_t>(i));
    }
    const int64_t band = 32;
    geneface::parallel_ranges(height, band, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * width; i < end * width; ++i) {
            face[i] = -1;
            depth[i] = barycentric[3 * i] = barycentric[3 * i + 1] = barycentric[3 * i + 2] = 0.f;
        }
        for (size_t j = 0; j < drawn.size(); ++j) {
            const geneface::Triangle& triangle = drawn[j];
            const int top = triangle.top > begin ? triangle.top : static_cast<int>(begin);
            const int bottom = triangle.bottom < end - 1 ? triangle.bottom : static_cast<int>(end - 1);
            for (int row = top; row <= bottom; ++row)
                for (int column = triangle.left; column <= triangle.right; ++column) {
                    double weights[3], z;
                    if (!geneface::interpolate(triangle, column, row, weights, z)) continue;
                    const int64_t pixel = int64_t(row) * width + column;
                    // Equal depths keep the triangle that came first.
                    if (face[pixel] >= 0 && !(static_cast<float>(z) < depth[pixel])) continue;
                    face[pixel] = number[j];
                    depth[pixel] = static_cast<float>(z);
                    for (int k = 0; k < 3; ++k) barycentric[3 * pixel + k] = static_cast<float>(weights[k]);
                }
        }
    });
    return 0;
}
