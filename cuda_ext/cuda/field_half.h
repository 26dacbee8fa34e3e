// The field on tensor cores: a warp evaluates 32 samples, one a lane, in tiles of 16.
//
// Weights lie in shared memory as 16-bit floats, in the order in which lanes read them. The inputs of a network lie
// there too, a row a sample; values between its layers stay in registers. 16-bit floats of the IEEE kind, on every
// GPU: they round 8 times finer than bfloat16, sums are in float, and nothing between the layers of a fitted field
// comes near 65504, where they are held.
#pragma once
#include "ray_lanes.h"
#include "tensor_core.h"

namespace geneface {

constexpr int kTile = 128;  // weights of a B tile, 16 x 8

GENEFACE_HD int tiles(int count, int size) { return (count + size - 1) / size; }

// Where things lie in shared memory.
struct HalfLayout {
    int place, inputs, colour;           // columns of a sample's row that the networks read, multiples of 16
    int width;                           // 16-bit values in a row
    int motion_weights, density_weights, colour_weights, weights;  // first value of each network, and all

    // Bytes that a block of so many warps needs.
    GENEFACE_HD size_t bytes(int warps) const {
        return sizeof(uint16_t) * (weights + size_t(warps) * kWarp * width) + sizeof(float) * warps * kWarp * 4;
    }
};

GENEFACE_HD HalfLayout half_layout(const Field& field) {
    HalfLayout out;
    const int columns = field.hidden / 8, rows = field.hidden / 16;
    out.place = 16 * tiles(2 * field.motion_count, 16);
    out.inputs = 16 * tiles(2 * field.position_count + field.condition_size, 16);
    out.colour = 16 * tiles(1 + field.geometry + kDirectionValues, 16);
    int widest = out.place > out.inputs ? out.place : out.inputs;
    widest = out.colour > widest ? out.colour : widest;
    out.width = widest + 8;  // 8 more: the rows of a tile begin in different banks
    const int between = (field.layers - 1) * columns * rows;
    out.motion_weights = 0;
    out.density_weights = kTile * (columns * out.place / 16 + between + tiles(3 + field.condition_size, 8) * rows);
    out.colour_weights = out.density_weights +
                         kTile * (columns * out.inputs / 16 + between + tiles(1 + field.geometry, 8) * rows);
    out.weights = out.colour_weights + kTile * (columns * out.colour / 16 + between + rows);
    return out;
}

// One layer's weights [outputs, inputs] to B tiles, all rows of tiles of the first 8 outputs first, each in the order
// of lanes; zeros beyond the ends. Input k meets row k + skip. Returns where the next layer's go.
__device__ __forceinline__ uint16_t* arrange_layer(uint16_t* to, const float* __restrict__ weight, int inputs,
                                                   int outputs, int skip) {
    const int depth = tiles(inputs + skip, 16), count = kTile * depth * tiles(outputs, 8);
    for (int i = 2 * static_cast<int>(threadIdx.x); i < count; i += 2 * static_cast<int>(blockDim.x)) {
        const int tile = i / kTile, lane = i % kTile / 4;
        const int output = tile / depth * 8 + lane / 4;
        const int k = tile % depth * 16 + 2 * (lane % 4) + (i % 4 ? 8 : 0) - skip;
        float pair[2] = {0.f, 0.f};
        for (int j = 0; j < 2; ++j)
            if (output < outputs && k + j >= 0 && k + j < inputs) pair[j] = within_half(weight[output * inputs + k + j]);
        *reinterpret_cast<uint32_t*>(to + i) = pair_of_halves(pair[0], pair[1]);
    }
    return to + count;
}

__device__ __forceinline__ void arrange_network(uint16_t* to, const Field& field, const float* weight, int inputs,
                                                int outputs, int skip) {
    const int hidden = field.hidden;
    to = arrange_layer(to, weight, inputs, hidden, skip);
    weight += hidden * inputs;
    for (int layer = 1; layer < field.layers; ++layer, weight += hidden * hidden)
        to = arrange_layer(to, weight, hidden, hidden, 0);
    arrange_layer(to, weight, hidden, outputs, 0);
}

// This lane's share of B tile `number`.
__device__ __forceinline__ void load_weights(const uint16_t* weights, int number, int lane, uint32_t (&b)[2]) {
    const uint2 both = *reinterpret_cast<const uint2*>(weights + kTile * number + 4 * lane);
    b[0] = both.x, b[1] = both.y;
}

// ReLU, and what the next product reads.
template <int Tiles, int Columns>
__device__ __forceinline__ void activate(const float (&c)[Tiles][Columns][4], uint32_t (&a)[Tiles][Columns / 2][4]) {
#pragma unroll
    for (int t = 0; t < Tiles; ++t)
#pragma unroll
        for (int k = 0; k < Columns / 2; ++k)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float* pair = &c[t][2 * k + i / 2][i % 2 * 2];
                a[t][k][i] = pair_of_halves(fminf(fmaxf(pair[0], 0.f), kLargestHalf),
                                            fminf(fmaxf(pair[1], 0.f), kLargestHalf));
            }
}

// One network for a warp's 32 samples: emit(row, column, value) for every output, columns up to the next multiple of 8.
// rows: inputs, `width` apart, of which the first 16 depth are read. Emitting may overwrite them.
template <int Hidden, class Emit>
__device__ __forceinline__ void half_network(const uint16_t* weights, int layers, int depth, int output_tiles,
                                             const float* bias, const uint16_t* rows, int width, Emit emit) {
    constexpr int kTogether = Hidden <= 64 ? 2 : 1;  // tiles of samples; more would not fit into registers
    constexpr int kColumns = Hidden / 8, kDepth = Hidden / 16;
    const int lane = static_cast<int>(threadIdx.x % kWarp), group = lane / 4, member = lane % 4;
#pragma unroll 1
    for (int first = 0; first < 2; first += kTogether) {
        float c[kTogether][kColumns][4];
        uint32_t a[kTogether][kDepth][4], b[2];
#pragma unroll
        for (int t = 0; t < kTogether; ++t)
#pragma unroll
            for (int n = 0; n < kColumns; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) c[t][n][i] = bias ? bias[8 * n + 2 * member + i % 2] : 0.f;
#pragma unroll 1
        for (int k = 0; k < depth; ++k) {
            uint32_t input[kTogether][4];
#pragma unroll
            for (int t = 0; t < kTogether; ++t) {
                const uint16_t* row = rows + (16 * (first + t) + group) * width + 16 * k + 2 * member;
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    input[t][i] = *reinterpret_cast<const uint32_t*>(row + i % 2 * 8 * width + i / 2 * 8);
            }
#pragma unroll
            for (int n = 0; n < kColumns; ++n) {
                load_weights(weights, n * depth + k, lane, b);
#pragma unroll
                for (int t = 0; t < kTogether; ++t) multiply_tiles(c[t][n], input[t], b);
            }
        }
        const uint16_t* layer_weights = weights + kTile * kColumns * depth;
        activate(c, a);
#pragma unroll 1
        for (int layer = 1; layer < layers; ++layer, layer_weights += kTile * kColumns * kDepth) {
#pragma unroll
            for (int n = 0; n < kColumns; ++n) {
#pragma unroll
                for (int t = 0; t < kTogether; ++t)
#pragma unroll
                    for (int i = 0; i < 4; ++i) c[t][n][i] = 0.f;
#pragma unroll
                for (int k = 0; k < kDepth; ++k) {
                    load_weights(layer_weights, n * kDepth + k, lane, b);
#pragma unroll
                    for (int t = 0; t < kTogether; ++t) multiply_tiles(c[t][n], a[t][k], b);
                }
            }
            activate(c, a);
        }
        __syncwarp();  // all lanes have read their inputs
#pragma unroll 1
        for (int n = 0; n < output_tiles; ++n) {
            float sum[kTogether][4] = {};
#pragma unroll
            for (int k = 0; k < kDepth; ++k) {
                load_weights(layer_weights, n * kDepth + k, lane, b);
#pragma unroll
                for (int t = 0; t < kTogether; ++t) multiply_tiles(sum[t], a[t][k], b);
            }
#pragma unroll
            for (int t = 0; t < kTogether; ++t)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    emit(16 * (first + t) + group + i / 2 * 8, 8 * n + 2 * member + i % 2, sum[t][i]);
        }
    }
}

__device__ __forceinline__ void store_half(uint16_t* to, float value) {
    *to = static_cast<uint16_t>(pair_of_halves(within_half(value), 0.f));
}

// Features of one position at all levels, from bfloat16 tables.
__device__ __forceinline__ void encode_halves(const GridLevel* levels, int count, const void* table, const float* x,
                                              uint16_t* to) {
    for (int l = 0; l < count; ++l) {
        float first, second;
        encode_level<3>(levels[l], static_cast<const uint16_t*>(table), x, first, second);
        store_half(to + 2 * l, first);
        store_half(to + 2 * l + 1, second);
    }
}

// A warp's workplace: a row of inputs and four results for each of its samples.
struct HalfRows {
    uint16_t* inputs;
    float* results;  // [32][4]: displacement in shares of the reach, then red, green, blue, density
    int width;
};

// Networks and grids for the warp's samples; `found`: this lane has one, at `position`. Results to rows.results.
template <int Hidden>
__device__ __forceinline__ void half_field(const Field& field, const HalfLayout& layout, const uint16_t* weights,
                                           const HalfRows& rows, bool found, const float* position,
                                           const float* direction) {
    const int lane = static_cast<int>(threadIdx.x % kWarp), width = rows.width;
    const int encoded = 2 * field.position_count, inputs = encoded + field.condition_size;
    const int outputs = 1 + field.geometry;
    uint16_t* own = rows.inputs + lane * width;
    float unit[3];
    if (found) {
        for (int i = 0; i < 3; ++i) unit[i] = unit_position(field, i, position[i]);
        encode_halves(field.motion_levels, field.motion_count, field.motion_table, unit, own);
        for (int i = 2 * field.motion_count; i < layout.place; ++i) own[i] = 0;
    }
    __syncwarp();
    half_network<Hidden>(weights + layout.motion_weights, field.layers, layout.place / 16,
                         tiles(3 + field.condition_size, 8), field.motion_bias, rows.inputs, width,
                         [&](int row, int column, float value) {
                             value = tanhf(value);
                             if (column < 3)
                                 rows.results[4 * row + column] = value;
                             else if (column < 3 + field.condition_size)
                                 store_half(rows.inputs + row * width + encoded + column - 3,
                                            value * field.condition[column - 3]);
                         });
    __syncwarp();
    if (found) {
        for (int i = 0; i < 3; ++i)
            unit[i] = multiply_add(rows.results[4 * lane + i], unit_reach(field, i), unit[i]);
        encode_halves(field.position_levels, field.position_count, field.position_table, unit, own);
        for (int i = inputs; i < layout.inputs; ++i) own[i] = 0;
    }
    __syncwarp();
    half_network<Hidden>(weights + layout.density_weights, field.layers, layout.inputs / 16, tiles(outputs, 8), nullptr,
                         rows.inputs, width, [&](int row, int column, float value) {
                             if (column == 0) rows.results[4 * row + 3] = density(field, value);
                             if (column < outputs) store_half(rows.inputs + row * width + column, value);
                         });
    if (found) {
        float harmonics[kDirectionValues];
        spherical_harmonics(direction[0], direction[1], direction[2], 4, harmonics);
#pragma unroll
        for (int i = 0; i < kDirectionValues; ++i) store_half(own + outputs + i, harmonics[i]);
        for (int i = outputs + kDirectionValues; i < layout.colour; ++i) own[i] = 0;
    }
    __syncwarp();
    half_network<Hidden>(weights + layout.colour_weights, field.layers, layout.colour / 16, 1, field.colour_bias,
                         rows.inputs, width, [&](int row, int column, float value) {
                             if (column < 3) rows.results[4 * row + column] = sigmoid(value);
                         });
    __syncwarp();
}

// Blocks of whole warps that stay until all rays are taken; shared memory: half_layout(field).bytes(warps).
template <int Hidden>
__global__ void render_half(const __grid_constant__ Field field, const __grid_constant__ Rays rays) {
    const HalfLayout layout = half_layout(field);
    const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    uint16_t* weights = shared_memory<uint16_t>();
    uint16_t* all_rows = weights + layout.weights;
    float* all_results = reinterpret_cast<float*>(all_rows + warps * kWarp * layout.width);
    const HalfRows rows{all_rows + warp * kWarp * layout.width, all_results + warp * kWarp * 4, layout.width};
    arrange_network(weights + layout.motion_weights, field, field.motion_weights, 2 * field.motion_count,
                    3 + field.condition_size, 0);
    arrange_network(weights + layout.density_weights, field, field.density_weights,
                    2 * field.position_count + field.condition_size, 1 + field.geometry, 0);
    // The colour network reads the density network's outputs where they are; the first of them, the density, meets
    // a row of zeros.
    arrange_network(weights + layout.colour_weights, field, field.colour_weights, field.geometry + kDirectionValues, 3,
                    1);
    for (int i = 0; i < layout.width; ++i) rows.inputs[lane * layout.width + i] = 0;
    for (int i = 0; i < 4; ++i) rows.results[4 * lane + i] = 0.f;
    __syncthreads();
    const OccupancyGrid grid = make_occupancy_grid(field.occupancy, field.grid_size, field.aabb);
    RayLane ray;
    ray.ray = -1;
    ray.exhausted = false;
    for (;;) {
        const bool found = next_samples(ray, rays, grid, field.aabb);
        if (!__any_sync(kAllLanes, found)) return;
        float position[3] = {0.f, 0.f, 0.f};
        if (found)
            for (int i = 0; i < 3; ++i) position[i] = ray.origin[i] + ray.t * ray.direction[i];
        half_field<Hidden>(field, layout, weights, rows, found, position, ray.direction);
        if (found) {
            const float* result = rows.results + 4 * lane;
            gather(ray.sum, result[3], result, ray.t, rays.step);
        }
    }
}

}  // namespace geneface
