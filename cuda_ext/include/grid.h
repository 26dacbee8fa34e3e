// Multiresolution grid: which table row holds a vertex, and where a position lies in its cell.
#pragma once
#include "geneface_ops.h"
#include "host_device.h"

namespace geneface {

constexpr int kMaxLevels = 32;

// One level, ready for use: row = offset + (index(vertex) & mask).
struct GridLevel {
    int64_t offset;       // first row of the level in the table
    uint32_t resolution;  // cells per axis
    uint32_t stride[3];   // per axis: multiplier of the vertex coordinate
    uint32_t mask;        // 2^log2_table_size - 1, or all ones where every vertex has its own row
    bool hashed;          // axes combine by exclusive or instead of by sum
};

// Primes of the spatial hash: Teschner et al. 2003; first axis unmultiplied as in Müller et al. 2022.
constexpr uint32_t kHashPrimes[3] = {1u, 2654435761u, 805459861u};

inline GridLevel make_level(const geneface_grid& grid, int level) {
    GridLevel out;
    const uint64_t side = static_cast<uint64_t>(grid.resolutions[level]) + 1;
    uint64_t vertices = 1;
    for (int d = 0; d < 3; ++d) {
        out.stride[d] = static_cast<uint32_t>(vertices);  // modulo 2^32 keeps the bits that a mask keeps
        if (d < grid.dims) vertices *= side;
    }
    const bool dense = vertices <= (uint64_t(1) << grid.log2_table_size);
    out.offset = grid.offsets[level];
    out.resolution = static_cast<uint32_t>(grid.resolutions[level]);
    out.hashed = grid.hashed != 0 && !dense;
    out.mask = dense ? ~0u : (1u << grid.log2_table_size) - 1u;
    if (out.hashed)
        for (int d = 0; d < 3; ++d) out.stride[d] = kHashPrimes[d];
    return out;
}

// Cell and place within it, in [0,1], along one axis; positions outside [0,1] are clamped.
GENEFACE_HD void grid_cell(float x, uint32_t resolution, uint32_t& cell, float& fraction) {
    x = x > 0.f ? x : 0.f;
    x = x < 1.f ? x : 1.f;
    const float position = product(x, static_cast<float>(resolution));
    int whole = static_cast<int>(position);
    whole = whole < static_cast<int>(resolution) - 1 ? whole : static_cast<int>(resolution) - 1;
    cell = static_cast<uint32_t>(whole);
    fraction = position - static_cast<float>(whole);
}

// Row, within its level, of a cell's corner; bit d of `corner` says which side of axis d.
template <int D, bool Hashed>
GENEFACE_HD uint32_t grid_row(const uint32_t (&cell)[D], int corner, const uint32_t (&stride)[3], uint32_t mask) {
    uint32_t index = (cell[0] + (corner & 1)) * stride[0];
    for (int d = 1; d < D; ++d) {
        const uint32_t term = (cell[d] + (corner >> d & 1)) * stride[d];
        index = Hashed ? index ^ term : index + term;
    }
    return index & mask;
}

// Interpolation weight of a corner.
template <int D>
GENEFACE_HD float grid_weight(const float (&fraction)[D], int corner) {
    float weight = 1.f;
    for (int d = 0; d < D; ++d) weight *= (corner >> d & 1) ? fraction[d] : 1.f - fraction[d];
    return weight;
}

// Derivative of `grid_weight` with respect to the fraction along `axis`.
template <int D>
GENEFACE_HD float grid_weight_derivative(const float (&fraction)[D], int corner, int axis) {
    float weight = (corner >> axis & 1) ? 1.f : -1.f;
    for (int d = 0; d < D; ++d)
        if (d != axis) weight *= (corner >> d & 1) ? fraction[d] : 1.f - fraction[d];
    return weight;
}

// A grid's dimensions and features, known to the compiler.
template <int Dims, int Features>
struct GridShape {
    static constexpr int D = Dims, C = Features;
};

// visit(GridShape) for the grid's shape; -1 where there are no kernels for it.
template <class Visit>
int with_shape(const geneface_grid& grid, Visit visit) {
    switch (grid.dims * 16 + grid.features) {
        case 2 * 16 + 1: return visit(GridShape<2, 1>());
        case 2 * 16 + 2: return visit(GridShape<2, 2>());
        case 2 * 16 + 4: return visit(GridShape<2, 4>());
        case 2 * 16 + 8: return visit(GridShape<2, 8>());
        case 3 * 16 + 1: return visit(GridShape<3, 1>());
        case 3 * 16 + 2: return visit(GridShape<3, 2>());
        case 3 * 16 + 4: return visit(GridShape<3, 4>());
        case 3 * 16 + 8: return visit(GridShape<3, 8>());
        default: return -1;
    }
}

}  // namespace geneface
