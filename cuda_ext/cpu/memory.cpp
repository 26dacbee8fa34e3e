// What the C library does with freed memory. Only in the portable library.
#include "../include/geneface_ops.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

GENEFACE_API int geneface_reuse_memory();

// By default glibc hands large freed blocks back to the system, and the next tensor of that size then costs
// a page fault per 4 KiB: some 3000 in a training step of 40,000 samples, 3 to 14 ms of its 80 ms of
// processor time (2-core EPYC). Keep up to 1 GiB instead. Returns 1 where that was done.
int geneface_reuse_memory() {
#if defined(__GLIBC__)
    // 32 MiB is the most that glibc accepts as threshold for blocks of their own.
    return mallopt(M_MMAP_THRESHOLD, 32 << 20) && mallopt(M_TRIM_THRESHOLD, 1 << 30) &&
           mallopt(M_TOP_PAD, 64 << 20);
#else
    return 0;
#endif
}
