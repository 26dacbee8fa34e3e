// C interface of the kernels, the same for the CPU libraries and the CUDA library.
//
// Arrays are dense, row-major and owned by the caller; float is 32 bits. What each function computes is
// defined in geneface/ops/reference.py. `context` is the number of threads (CPU) or the cudaStream_t
// (CUDA, device pointers throughout). Each returns 0, or a CUDA error code.
#pragma once
#include <cstdint>

#if defined(_WIN32)
#define GENEFACE_API extern "C" __declspec(dllexport)
#else
#define GENEFACE_API extern "C" __attribute__((visibility("default")))
#endif

// Raised when a signature below changes; geneface/ops/native.py refuses a library of another version.
#define GENEFACE_ABI_VERSION 2

GENEFACE_API int geneface_abi_version();

// Layout of a multiresolution grid: host pointers, on CUDA too.
struct geneface_grid {
    int32_t dims;             // D
    int32_t levels;           // L
    int32_t features;         // C
    int32_t log2_table_size;
    int32_t hashed;
    const int64_t* offsets;      // [L+1] first row of each level
    const int64_t* resolutions;  // [L] cells per axis
};

// x [N,D], table [P,C] -> out [N,L*C]
GENEFACE_API int geneface_grid_encode(const geneface_grid* grid, int64_t n, const float* x, const float* table,
                                      float* out, intptr_t context);

// The same from a table of bfloat16.
GENEFACE_API int geneface_grid_encode_bf16(const geneface_grid* grid, int64_t n, const float* x, const uint16_t* table,
                                           float* out, intptr_t context);

// grad_out [N,L*C] -> grad_x [N,D] and grad_table [P,C], each skipped where null; both are overwritten.
// scratch: null on CPU; on CUDA P*C + L int64 values (needed for grad_table).
GENEFACE_API int geneface_grid_encode_backward(const geneface_grid* grid, int64_t n, const float* x,
                                               const float* table, const float* grad_out, float* grad_x,
                                               float* grad_table, int64_t* scratch, intptr_t context);

// A fully connected network, ReLU between layers: host pointers, on CUDA too.
struct geneface_mlp {
    int32_t layers;               // L, at least 1
    int32_t inputs;               // I
    int32_t bf16;                 // values and weights rounded to bfloat16, sums in float
    const int32_t* widths;        // [L+1] inputs of each layer, then outputs
    const int32_t* input_widths;  // [I], their sum is widths[0]
};

// inputs: I arrays [M,input_widths[i]]; weights: L arrays [widths[l+1],widths[l]]; offsets [F,widths[1]] or null,
// index [M] its row for each sample, or null for row 0 -> out [M,widths[L]]. Lists of arrays are host pointers.
GENEFACE_API int geneface_mlp_forward(const geneface_mlp* net, int64_t m, const float* const* inputs,
                                      const float* const* weights, int64_t f, const float* offsets,
                                      const int64_t* index, float* out, intptr_t context);

// grad_out [M,widths[L]] -> grad_inputs (entries may be null), grad_weights and grad_offsets (each may be null);
// all are overwritten.
GENEFACE_API int geneface_mlp_backward(const geneface_mlp* net, int64_t m, const float* const* inputs,
                                       const float* const* weights, int64_t f, const float* offsets,
                                       const int64_t* index, const float* grad_out, float* const* grad_inputs,
                                       float* const* grad_weights, float* grad_offsets, intptr_t context);

// x [N,D], table [P,C] -> out [N]; grad_out [N] -> grad_table [P,C], overwritten. scratch as above.
GENEFACE_API int geneface_grid_total_variation(const geneface_grid* grid, int64_t n, const float* x,
                                               const float* table, float* out, intptr_t context);
GENEFACE_API int geneface_grid_total_variation_backward(const geneface_grid* grid, int64_t n, const float* x,
                                                        const float* table, const float* grad_out, float* grad_table,
                                                        int64_t* scratch, intptr_t context);
// One step of Adam on value, mean and square [N], in place, where grad [N] or mean is not zero:
// mean and square move towards grad and grad^2, value by -rate * mean / (square_scale * sqrt(square) + eps).
GENEFACE_API int geneface_adam(int64_t n, float* value, const float* grad, float* mean, float* square, float rate,
                               float mean_decay, float square_decay, float square_scale, float eps, intptr_t context);

// dirs [N,3] -> out [N,degree^2]
GENEFACE_API int geneface_spherical_harmonics(int64_t n, int32_t degree, const float* dirs, float* out,
                                              intptr_t context);
GENEFACE_API int geneface_spherical_harmonics_backward(int64_t n, int32_t degree, const float* dirs,
                                                       const float* grad_out, float* grad_dirs, intptr_t context);

// rays_o, rays_d [N,3], aabb [6] -> nears, fars [N]
GENEFACE_API int geneface_near_far_from_aabb(int64_t n, const float* rays_o, const float* rays_d, const float* aabb,
                                             float min_near, float* nears, float* fars, intptr_t context);

// First pass of marching: counts [N] samples of each ray.
GENEFACE_API int geneface_march_count(int64_t n, const float* rays_o, const float* rays_d, const float* nears,
                                      const float* fars, const float* jitter, const uint8_t* occupancy,
                                      const float* aabb, int32_t grid_size, float step, int32_t max_samples,
                                      int64_t* counts, intptr_t context);

// Second pass: offsets [N+1], the running sum of counts -> t [M].
GENEFACE_API int geneface_march_fill(int64_t n, const float* rays_o, const float* rays_d, const float* nears,
                                     const float* fars, const float* jitter, const uint8_t* occupancy,
                                     const float* aabb, int32_t grid_size, float step, int32_t max_samples,
                                     const int64_t* offsets, float* t, intptr_t context);

// A further stretch of some rays: alive [A] ray numbers; rays_o to jitter [N]; next [N], the first step to look
// at, becomes the step after the last sample, or 2^24 where there were fewer than max_samples ->
// counts [A], t [A,max_samples].
GENEFACE_API int geneface_march_alive(int64_t n, const int64_t* alive, const float* rays_o, const float* rays_d,
                                      const float* nears, const float* fars, const float* jitter,
                                      const uint8_t* occupancy, const float* aabb, int32_t grid_size, float step,
                                      int32_t max_samples, int32_t* next, int64_t* counts, float* t,
                                      intptr_t context);

// rays_o, rays_d [N,3], t [M], offsets [N+1] -> x [M,3], ray [M], written from offsets[0] to offsets[N].
GENEFACE_API int geneface_sample_points(int64_t n, const float* rays_o, const float* rays_d, const float* t,
                                        const int64_t* offsets, float* x, int64_t* ray, intptr_t context);

// grad_x [M,3] -> grad_o, grad_d [N,3], overwritten: summed over the samples of each ray.
GENEFACE_API int geneface_sample_points_backward(int64_t n, const float* t, const int64_t* offsets,
                                                 const float* grad_x, float* grad_o, float* grad_d,
                                                 intptr_t context);

// sigma, t, dt [M], rgb [M,C], offsets [N+1] -> image [N,C], alpha, depth [N]
GENEFACE_API int geneface_composite(int64_t n, int32_t channels, const float* sigma, const float* rgb, const float* t,
                                    const float* dt, const int64_t* offsets, float early_stop, float* image,
                                    float* alpha, float* depth, intptr_t context);

// grad_image [N,C], grad_alpha, grad_depth [N] -> grad_sigma [M], grad_rgb [M,C]; both must come zeroed.
GENEFACE_API int geneface_composite_backward(int64_t n, int32_t channels, const float* sigma, const float* rgb,
                                             const float* t, const float* dt, const int64_t* offsets,
                                             float early_stop, const float* grad_image, const float* grad_alpha,
                                             const float* grad_depth, float* grad_sigma, float* grad_rgb,
                                             intptr_t context);

// sigma, dt [M], offsets [N+1] -> weights [M], written from offsets[0] to offsets[N].
GENEFACE_API int geneface_composite_weights(int64_t n, const float* sigma, const float* dt, const int64_t* offsets,
                                            float early_stop, float* weights, intptr_t context);

// Samples of rays alive [A], offsets [A+1]: added to image [N,C], alpha, depth [N]; transmittance [N] falls.
GENEFACE_API int geneface_composite_alive(int64_t n, int32_t channels, const int64_t* alive, const float* sigma,
                                          const float* rgb, const float* t, const float* dt, const int64_t* offsets,
                                          float early_stop, float* transmittance, float* image, float* alpha,
                                          float* depth, intptr_t context);

// density [K] -> bits [ceil(K/8)]
GENEFACE_API int geneface_pack_bits(int64_t k, const float* density, float threshold, uint8_t* bits,
                                    intptr_t context);

// x [M,3], weights [M] -> the largest weight of each cell so far: seen [G^3], x fastest. Points outside
// count for the nearest cell.
GENEFACE_API int geneface_occupancy_record(int64_t n, const float* x, const float* weights, const float* aabb,
                                           int32_t grid_size, float* seen, intptr_t context);

// seen [G^3] *= decay; bits [ceil(G^3/8)]: cells within `margin` cells of one whose seen > threshold, and in
// hull [G^3] (bool). scratch: G^3 bytes.
GENEFACE_API int geneface_occupancy_update(int32_t grid_size, float* seen, const uint8_t* hull, float decay,
                                           float threshold, int32_t margin, uint8_t* bits, uint8_t* scratch,
                                           intptr_t context);

// coordinates [N,D] (D 2 or 3), not negative <-> codes [N].
GENEFACE_API int geneface_morton_encode(int64_t n, int32_t dims, const int32_t* coordinates, int64_t* codes,
                                        intptr_t context);
GENEFACE_API int geneface_morton_decode(int64_t n, int32_t dims, const int64_t* codes, int32_t* coordinates,
                                        intptr_t context);

// vertices [V,3], triangles [F,3] -> face [H,W], barycentric [H,W,3], depth [H,W].
// scratch: null on CPU; on CUDA H*W int64 values.
GENEFACE_API int geneface_rasterize(const float* vertices, int64_t v, const int32_t* triangles, int64_t f,
                                    int32_t height, int32_t width, int32_t* face, float* barycentric, float* depth,
                                    int64_t* scratch, intptr_t context);

// A head field and the cells of its box worth looking at. The struct and the grids are on the host, on CUDA too;
// all other pointers are the device's. H = hidden, E = 2 * levels of the position grid, A = 2 * levels of the
// motion grid, C = condition_size, G = geometry. Networks: all layers one after another, each [outputs, inputs].
struct geneface_field {
    const geneface_grid* position_grid;  // 3 dimensions, 2 features
    const geneface_grid* motion_grid;    // 3 dimensions, 2 features
    const void* position_table;          // [P,2] float, or bfloat16 where `bf16`
    const void* motion_table;            // [Q,2] likewise
    const float* motion_weights;         // [H,A], layers - 1 times [H,H], [3+C,H]
    const float* density_weights;        // [H,E+C], layers - 1 times [H,H], [1+G,H]
    const float* colour_weights;         // [H,G+16], layers - 1 times [H,H], [3,H]
    const float* motion_bias;            // [H] added before the motion network's first ReLU
    const float* colour_bias;            // [H] likewise, colour network
    const float* condition;              // [C]
    const float* aabb;                   // [6]
    const uint8_t* occupancy;            // [ceil(grid_size^3/8)]
    int32_t grid_size;
    int32_t hidden;
    int32_t layers;  // hidden layers of each network
    int32_t condition_size;
    int32_t geometry;
    int32_t bf16;  // tables are bfloat16, and networks may round their numbers to it
    float reach;  // farthest that a point moves along an axis [m]
    float density_scale;
    float density_limit;
};

// rays_o, rays_d [N,3] -> image [N,3], alpha, depth [N], and samples [N], evaluated on each ray (null: not wanted).
// scratch: null on CPU; on CUDA 16 int64 values. Returns -1 for a field of sizes that the kernels do not know,
// and on CUDA where a table is not aligned to its rows.
GENEFACE_API int geneface_render_rays(const geneface_field* field, int64_t n, const float* rays_o, const float* rays_d,
                                      float min_near, float step, int32_t max_samples, float early_stop, float* image,
                                      float* alpha, float* depth, int32_t* samples, int64_t* scratch,
                                      intptr_t context);
