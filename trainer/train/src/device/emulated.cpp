// Runs kernels.cu on the processor, for tests: the threads of a block are fibers, which change where the
// block synchronises; blocks follow each other. One launch at a time.

#include <math.h>
#include <string.h>
#include <ucontext.h>

#include <utility>

#define EMULATED
#define KERNEL static void
#define DEVICE static inline
#define SHARED static
#define SYNC() change_fiber(true)
#define SYNC_WARP() change_fiber(false)

namespace {

struct Dimensions {
    unsigned x, y;
};
Dimensions threadIdx, blockIdx, gridDim;

const int MOST_THREADS = 256;
const size_t STACK = 64 * 1024;
ucontext_t scheduler, fibers[MOST_THREADS];
char stacks[MOST_THREADS][STACK];
bool ended[MOST_THREADS], waiting[MOST_THREADS];
int current;

// Lets the other fibers go on: all of the block, until each has come to a barrier, or those of a warp, whose fibers
// change as often as each other.
void change_fiber(bool barrier) {
    waiting[current] = barrier;
    swapcontext(&fibers[current], &scheduler);
}

float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
unsigned atomicAdd(unsigned* to, unsigned value) {
    unsigned before = *to;
    *to += value;
    return before;
}
void __threadfence() {}

struct bf16 {
    unsigned short bits;
};
#define BF16_DEFINED

namespace as_float {
#include "kernels.cu"
#include "views.cu"
}
#define ELEMENT_BF16
namespace as_bf16 {
#include "kernels.cu"
}

// Calls a kernel with arguments that are pointed to, as CUDA's own launch takes them.
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*(A*)arguments[I]...);
}
template <class... A>
void enter(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>{});
}

struct Entry {
    const char* name;
    void (*run[2])(void**);
};
#define ENTRY(name) \
    {#name, {[](void** a) { enter(as_float::name, a); }, [](void** a) { enter(as_bf16::name, a); }}}

#define ENTRY_BF16(name) {#name, {nullptr, [](void** a) { enter(as_bf16::name, a); }}}

#define ENTRY_FLOAT(name) {#name, {[](void** a) { enter(as_float::name, a); }, nullptr}}

const Entry ENTRIES[] = {
    ENTRY(norm_statistics),     ENTRY(norm_apply),         ENTRY(norm_gradient_sums),
    ENTRY(norm_gradient_apply), ENTRY(add_maps),           ENTRY(give_map),
    ENTRY(shape_kernels),       ENTRY(kernel_gradients),   ENTRY(stem_forward),
    ENTRY(stem_gradient),       ENTRY(add_partial), ENTRY(band_means),
    ENTRY(band_means_gradient), ENTRY(add_bias),           ENTRY(column_sums),
    ENTRY(unit_rows),           ENTRY(unit_rows_gradient), ENTRY(nt_xent_rows),
    ENTRY(cosine_rows),         ENTRY(predictive_totals),  ENTRY(predictive_rows),
    ENTRY(column_deviations),   ENTRY(add_to_log),         ENTRY(clear),
    ENTRY(gradient_norm),       ENTRY(adamw),              ENTRY_BF16(tensor_convolution),
    ENTRY_BF16(tensor_kernel_gradient), ENTRY_FLOAT(make_views), ENTRY_FLOAT(log_mel), ENTRY_FLOAT(lesson_rows),
};

void (*kernel)(void**);
void** kernel_arguments;

void fiber() {
    kernel(kernel_arguments);
    ended[current] = true;
    // The context's link leads back to the scheduler.
}

void run_block(int threads) {
    for (int t = 0; t < threads; t++) {
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = stacks[t];
        fibers[t].uc_stack.ss_size = STACK;
        fibers[t].uc_link = &scheduler;
        makecontext(&fibers[t], fiber, 0);
        ended[t] = waiting[t] = false;
    }
    for (int left = threads; left > 0;) {
        bool moved = false;
        for (int t = 0; t < threads; t++) {
            if (ended[t] || waiting[t]) continue;
            moved = true;
            current = t;
            threadIdx.x = t;
            swapcontext(&scheduler, &fibers[t]);
            left -= ended[t];
        }
        if (!moved) memset(waiting, 0, sizeof waiting);
    }
}

}  // namespace

// Returns whether there is such a kernel.
extern "C" bool mtslvr_emulate(const char* name, bool bf16_elements, unsigned columns, unsigned rows,
                               unsigned threads, void** arguments) {
    for (const Entry& entry : ENTRIES) {
        if (strcmp(entry.name, name) != 0 || !entry.run[bf16_elements]) continue;
        kernel = entry.run[bf16_elements];
        kernel_arguments = arguments;
        gridDim = {columns, rows};
        for (blockIdx.y = 0; blockIdx.y < rows; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < columns; blockIdx.x++) run_block(threads);
        return true;
    }
    return false;
}
