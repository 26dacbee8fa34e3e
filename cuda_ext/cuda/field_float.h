// The field in single precision: each thread evaluates a sample of its own. A layer's inputs lie in shared memory,
// one column a thread, its sums in registers; weights are the same for all threads and come from the cache.
#pragma once
#include "ray_lanes.h"

namespace geneface {

constexpr int kSums = 8;  // outputs that a thread adds up at once

// Values of one thread, a block's width apart so that the threads of a warp meet different banks.
struct Column {
    float* first;
    int stride;
    __device__ float& operator[](int i) const { return first[i * stride]; }
};

// Shared memory of a thread, in floats: inputs of the networks, and hidden values (two layers' where one network
// has more than one).
inline __host__ __device__ int input_values(const Field& field) {
    const int described = 2 * field.position_count + field.condition_size, placed = 2 * field.motion_count;
    const int coloured = field.geometry + kDirectionValues, most = described > coloured ? described : coloured;
    return placed > most ? placed : most;
}
inline __host__ __device__ int thread_values(const Field& field) {
    return input_values(field) + (field.layers > 1 ? 2 : 1) * field.hidden;
}

// emit(o, bias[o] + weight[o] x) for every output, weight [outputs, inputs]; bias may be null.
template <class Emit>
__device__ __forceinline__ void float_layer(const float* __restrict__ weight, int inputs, int outputs,
                                            const float* bias, const Column& x, Emit emit) {
    for (int o = 0; o < outputs; o += kSums) {
        const float* row[kSums];
        float sum[kSums];
#pragma unroll
        for (int j = 0; j < kSums; ++j) {
            const int output = o + j < outputs ? o + j : outputs - 1;
            row[j] = weight + output * inputs;
            sum[j] = bias ? bias[output] : 0.f;
        }
        for (int k = 0; k < inputs; ++k) {
            const float value = x[k];
#pragma unroll
            for (int j = 0; j < kSums; ++j) sum[j] = multiply_add(__ldg(row[j] + k), value, sum[j]);
        }
#pragma unroll
        for (int j = 0; j < kSums; ++j)
            if (o + j < outputs) emit(o + j, sum[j]);
    }
}

// Layers one after another, ReLU between them. y and z hold hidden values.
template <class Emit>
__device__ __forceinline__ void float_network(const Field& field, const float* weight, int inputs, int outputs,
                                              const float* bias, const Column& x, Column y, Column z, Emit emit) {
    const int hidden = field.hidden;
    float_layer(weight, inputs, hidden, bias, x, [&](int o, float value) { y[o] = value > 0.f ? value : 0.f; });
    weight += hidden * inputs;
    for (int layer = 1; layer < field.layers; ++layer, weight += hidden * hidden) {
        float_layer(weight, hidden, hidden, nullptr, y, [&](int o, float value) { z[o] = value > 0.f ? value : 0.f; });
        const Column other = y;
        y = z, z = other;
    }
    float_layer(weight, hidden, outputs, nullptr, y, emit);
}

// `evaluate_field` of include/field.h. A direction's harmonics are inputs here: a bias of every ray would take more
// memory than their few products take time.
template <class Entry>
__device__ __forceinline__ void float_field(const Field& field, const float* position, const float* direction,
                                            const Column& x, const Column& y, const Column& z, float& sigma,
                                            float* rgb) {
    const int encoded = 2 * field.position_count;
    float unit[3];
    for (int i = 0; i < 3; ++i) unit[i] = unit_position(field, i, position[i]);
    for (int l = 0; l < field.motion_count; ++l)
        encode_level<3>(field.motion_levels[l], static_cast<const Entry*>(field.motion_table), unit, x[2 * l],
                        x[2 * l + 1]);
    float_network(field, field.motion_weights, 2 * field.motion_count, 3 + field.condition_size, field.motion_bias,
                  x, y, z, [&](int o, float value) {
                      value = tanhf(value);
                      if (o == 0)
                          unit[0] = multiply_add(value, unit_reach(field, 0), unit[0]);
                      else if (o == 1)
                          unit[1] = multiply_add(value, unit_reach(field, 1), unit[1]);
                      else if (o == 2)
                          unit[2] = multiply_add(value, unit_reach(field, 2), unit[2]);
                      else
                          x[encoded + o - 3] = value * field.condition[o - 3];
                  });
    for (int l = 0; l < field.position_count; ++l)
        encode_level<3>(field.position_levels[l], static_cast<const Entry*>(field.position_table), unit, x[2 * l],
                        x[2 * l + 1]);
    float_network(field, field.density_weights, encoded + field.condition_size, 1 + field.geometry, nullptr, x, y, z,
                  [&](int o, float value) {
                      if (o == 0)
                          sigma = density(field, value);
                      else
                          x[o - 1] = value;
                  });
    float harmonics[kDirectionValues];
    spherical_harmonics(direction[0], direction[1], direction[2], 4, harmonics);
#pragma unroll
    for (int i = 0; i < kDirectionValues; ++i) x[field.geometry + i] = harmonics[i];
    float_network(field, field.colour_weights, field.geometry + kDirectionValues, 3, field.colour_bias, x, y, z,
                  [&](int o, float value) {
                      value = sigmoid(value);
                      if (o == 0)
                          rgb[0] = value;
                      else if (o == 1)
                          rgb[1] = value;
                      else
                          rgb[2] = value;
                  });
}

// Blocks of whole warps that stay until all rays are taken; shared memory: thread_values(field) floats a thread.
template <class Entry>
__global__ void render_float(const __grid_constant__ Field field, const __grid_constant__ Rays rays) {
    const int threads = static_cast<int>(blockDim.x);
    float* shared = shared_memory<float>() + threadIdx.x;
    const Column x{shared, threads};
    const Column y{shared + input_values(field) * threads, threads};
    const Column z{shared + (input_values(field) + (field.layers > 1 ? field.hidden : 0)) * threads, threads};
    const OccupancyGrid grid = make_occupancy_grid(field.occupancy, field.grid_size, field.aabb);
    RayLane lane;
    lane.ray = -1;
    lane.exhausted = false;
    for (;;) {
        const bool found = next_samples(lane, rays, grid, field.aabb);
        if (!__any_sync(kAllLanes, found)) return;
        if (!found) continue;
        float position[3], sigma, rgb[3];
        for (int i = 0; i < 3; ++i) position[i] = lane.origin[i] + lane.t * lane.direction[i];
        float_field<Entry>(field, position, lane.direction, x, y, z, sigma, rgb);
        gather(lane.sum, sigma, rgb, lane.t, rays.step);
    }
}

}  // namespace geneface
