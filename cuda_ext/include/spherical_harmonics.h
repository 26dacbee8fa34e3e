// Real spherical harmonics up to four bands and their derivatives, as polynomials of the direction.
#pragma once
#include "host_device.h"

namespace geneface {

// out: degree^2 values.
GENEFACE_HD void spherical_harmonics(float x, float y, float z, int degree, float* out) {
    out[0] = 0.28209479177387814f;
    if (degree < 2) return;
    out[1] = -0.48860251190291987f * y;
    out[2] = 0.48860251190291987f * z;
    out[3] = -0.48860251190291987f * x;
    if (degree < 3) return;
    out[4] = 1.0925484305920792f * x * y;
    out[5] = -1.0925484305920792f * y * z;
    out[6] = 0.94617469575755997f * z * z - 0.31539156525251999f;
    out[7] = -1.0925484305920792f * x * z;
    out[8] = 0.54627421529603959f * (x * x - y * y);
    if (degree < 4) return;
    out[9] = 0.59004358992664352f * y * (y * y - 3.f * x * x);
    out[10] = 2.8906114426405538f * x * y * z;
    out[11] = 0.45704579946446572f * y * (1.f - 5.f * z * z);
    out[12] = 0.3731763325901154f * z * (5.f * z * z - 3.f);
    out[13] = 0.45704579946446572f * x * (1.f - 5.f * z * z);
    out[14] = 1.4453057213202769f * z * (x * x - y * y);
    out[15] = 0.59004358992664352f * x * (3.f * y * y - x * x);
}

// g: degree^2 gradients of the values -> (gx, gy, gz), gradients of the direction.
GENEFACE_HD void spherical_harmonics_backward(float x, float y, float z, int degree, const float* g, float& gx,
                                              float& gy, float& gz) {
    gx = gy = gz = 0.f;
    if (degree < 2) return;
    gy += -0.48860251190291987f * g[1];
    gz += 0.48860251190291987f * g[2];
    gx += -0.48860251190291987f * g[3];
    if (degree < 3) return;
    gx += 1.0925484305920792f * (y * g[4] - z * g[7]) + 2.f * 0.54627421529603959f * x * g[8];
    gy += 1.0925484305920792f * (x * g[4] - z * g[5]) - 2.f * 0.54627421529603959f * y * g[8];
    gz += -1.0925484305920792f * (y * g[5] + x * g[7]) + 2.f * 0.94617469575755997f * z * g[6];
    if (degree < 4) return;
    const float xx = x * x, yy = y * y, zz = z * z;
    gx += -6.f * 0.59004358992664352f * x * y * g[9] + 2.8906114426405538f * y * z * g[10] +
          0.45704579946446572f * (1.f - 5.f * zz) * g[13] + 2.f * 1.4453057213202769f * x * z * g[14] +
          3.f * 0.59004358992664352f * (yy - xx) * g[15];
    gy += 3.f * 0.59004358992664352f * (yy - xx) * g[9] + 2.8906114426405538f * x * z * g[10] +
          0.45704579946446572f * (1.f - 5.f * zz) * g[11] - 2.f * 1.4453057213202769f * y * z * g[14] +
          6.f * 0.59004358992664352f * x * y * g[15];
    gz += 2.8906114426405538f * x * y * g[10] - 10.f * 0.45704579946446572f * y * z * g[11] +
          0.3731763325901154f * (15.f * zz - 3.f) * g[12] - 10.f * 0.45704579946446572f * x * z * g[13] +
          1.4453057213202769f * (xx - yy) * g[14];
}

}  // namespace geneface
