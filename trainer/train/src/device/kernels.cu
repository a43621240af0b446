// Kernels of a training step. NVRTC compiles this text twice, with ELEMENT as bf16 and as float, and a
// C++ compiler does for tests (emulated.cpp). Activations, their gradients and the kernels of
// convolutions are ELEMENTs; everything else is float, and so are all sums.
//
// Activations are [rows][channels], with channels a multiple of 8: a thread takes 8 of them at a time.
// Sums are taken in a fixed order, so that the same input gives the same bits on one device.

#define THREADS 256

#ifndef EMULATED
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__
#define SYNC() __syncthreads()
#endif

typedef unsigned int u32;

#ifndef BF16_DEFINED
#define BF16_DEFINED
struct bf16 {
    unsigned short bits;
};
#endif

#ifdef ELEMENT_BF16
typedef bf16 ELEMENT;
#else
typedef float ELEMENT;
#endif

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }

DEVICE void store(float* to, float x) { *to = x; }
DEVICE void store(bf16* to, float x) {
#ifdef EMULATED
    // Rounds to nearest, ties to even; what is no number stays so.
    u32 bits = __float_as_uint(x);
    u32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    to->bits = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : (unsigned short)rounded;
#else
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(x));
#endif
}

// Eight neighbours, read and written at once.
template <class T>
struct alignas(16) Eight {
    T v[8];
};

template <class T>
DEVICE void load8(const T* from, float* to) {
    Eight<T> x = *(const Eight<T>*)from;
#pragma unroll
    for (int j = 0; j < 8; j++) to[j] = to_float(x.v[j]);
}

template <class T>
DEVICE void store8(T* to, const float* from) {
    Eight<T> x;
#pragma unroll
    for (int j = 0; j < 8; j++) store(&x.v[j], from[j]);
    *(Eight<T>*)to = x;
}

// Adds to what is there if `add`.
template <class T>
DEVICE void give8(T* to, const float* from, int add) {
    float sum[8];
    if (add) {
        load8(to, sum);
#pragma unroll
        for (int j = 0; j < 8; j++) sum[j] += from[j];
        store8(to, sum);
    } else {
        store8(to, from);
    }
}

DEVICE bool is_finite(float x) { return (__float_as_uint(x) & 0x7f800000) != 0x7f800000; }

// The sum over the block's threads, told to each of them.
DEVICE float block_sum(float x) {
    const int t = threadIdx.x;
#ifdef EMULATED
    SHARED float sums[THREADS];
    sums[t] = x;
    SYNC();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (t < half) sums[t] += sums[t + half];
        SYNC();
    }
    float sum = sums[0];
#else
    SHARED float sums[THREADS / 32];
#pragma unroll
    for (int o = 16; o > 0; o /= 2) x += __shfl_xor_sync(0xffffffff, x, o);
    if (t % 32 == 0) sums[t / 32] = x;
    SYNC();
    float sum = 0;
#pragma unroll
    for (int w = 0; w < THREADS / 32; w++) sum += sums[w];
#endif
    SYNC();
    return sum;
}

// The largest of the block's values, told to each of its threads.
DEVICE float block_max(float x) {
    SHARED float values[THREADS];
    const int t = threadIdx.x;
    values[t] = x;
    SYNC();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        // What is no number wins: the loss must tell it.
        if (t < half && !(values[t + half] <= values[t])) values[t] = values[t + half];
        SYNC();
    }
    float top = values[0];
    SYNC();
    return top;
}

// Whether all other blocks of the launch have come here, with all that they wrote before.
DEVICE bool is_last(u32* arrived) {
    SHARED int last;
    __threadfence();
    SYNC();
    if (threadIdx.x == 0) last = atomicAdd(arrived, 1u) == gridDim.x - 1;
    SYNC();
    __threadfence();
    return last;
}

// Column sums of `partial`, [blocks][columns], into shared `totals`.
DEVICE void add_blocks(const float* partial, int blocks, int columns, float* totals) {
    SHARED float slices_of[THREADS];
    const int t = threadIdx.x;
    int slices = columns < THREADS ? THREADS / columns : 1;
    if (slices == 1) {
        for (int c = t; c < columns; c += THREADS) {
            float sum = 0;
#pragma unroll 16
            for (int b = 0; b < blocks; b++) sum += partial[(size_t)b * columns + c];
            totals[c] = sum;
        }
    } else {
        int slice = t / columns, c = t % columns;
        float sum = 0;
        if (slice < slices) {
#pragma unroll 8
            for (int b = slice; b < blocks; b += slices) sum += partial[(size_t)b * columns + c];
        }
        slices_of[t] = sum;
        SYNC();
        if (slice == 0) {
            for (int s = 1; s < slices; s++) sum += slices_of[s * columns + c];
            totals[c] = sum;
        }
    }
    SYNC();
}

// --- Batch norm ---------------------------------------------------------------------------------

// Adds up 16 values of each thread over the block's rows, and leaves two sums of each channel in the block's row of
// `partial`, [blocks][2][channels]. Thread `lane * groups + group` comes with its own in sums[0..16][thread]: the first
// of 8 channels, then the second.
DEVICE void write_partial_sums(float (*sums)[THREADS], int groups, int lanes, float* partial) {
    const int t = threadIdx.x, lane = t / groups, channels = groups * 8;
    int half = 1;
    while (half < lanes) half *= 2;
    for (half /= 2; half > 0; half /= 2) {
        SYNC();
        if (lane < half && lane + half < lanes) {
#pragma unroll
            for (int j = 0; j < 16; j++) sums[j][t] += sums[j][t + half * groups];
        }
    }
    SYNC();
    if (lane == 0) {
        float* mine = partial + (size_t)blockIdx.x * 2 * channels + t * 8;
        for (int j = 0; j < 8; j++) {
            mine[j] = sums[j][t];
            mine[channels + j] = sums[j + 8][t];
        }
    }
}

#define MOST_CHANNELS 2048

// Mean and 1 / deviation of each channel into `statistics`, [2][channels]; the running mean and
// variance in `running`, [2][channels], move towards them by `momentum`.
KERNEL norm_statistics(const ELEMENT* x, int rows, int channels, float* partial, u32* arrived,
                       float* statistics, float* running, float momentum, float eps) {
    SHARED float sums[16][THREADS];
    SHARED float totals[2 * MOST_CHANNELS];
    const int t = threadIdx.x, groups = channels / 8, lanes = THREADS / groups;
    const int group = t % groups, lane = t / groups;
    // Distances from the first row lose no digits where the mean is far from 0.
    float first[8], sum[8], square[8];
    load8(x + group * 8, first);
#pragma unroll
    for (int j = 0; j < 8; j++) sum[j] = square[j] = 0;
    if (lane < lanes) {
#pragma unroll 4
        for (int row = blockIdx.x * lanes + lane; row < rows; row += gridDim.x * lanes) {
            float v[8];
            load8(x + (size_t)row * channels + group * 8, v);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                float d = v[j] - first[j];
                sum[j] += d;
                square[j] += d * d;
            }
        }
    }
#pragma unroll
    for (int j = 0; j < 8; j++) {
        sums[j][t] = sum[j];
        sums[j + 8][t] = square[j];
    }
    write_partial_sums(sums, groups, lanes, partial);
    if (!is_last(arrived)) return;
    add_blocks(partial, gridDim.x, 2 * channels, totals);
    for (int c = t; c < channels; c += THREADS) {
        float d = totals[c] / rows, mean = to_float(x[c]) + d;
        float variance = fmaxf(totals[channels + c] / rows - d * d, 0.0f);
        // fmaxf makes a number of what is none.
        if (!is_finite(totals[channels + c])) variance = totals[channels + c];
        statistics[c] = mean;
        statistics[channels + c] = 1.0f / sqrtf(variance + eps);
        if (is_finite(mean) && is_finite(variance)) {
            running[c] += momentum * (mean - running[c]);
            running[channels + c] += momentum * (variance - running[channels + c]);
        }
    }
    if (t == 0) *arrived = 0;
}

// y = gain * (x - mean) / deviation + bias, then + residual and max(0, y) where asked.
KERNEL norm_apply(const ELEMENT* x, const ELEMENT* residual, ELEMENT* y, const float* statistics,
                  const float* gain, const float* bias, int eights, int channels, int relu) {
    const int groups = channels / 8;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        int c = i % groups * 8;
        float v[8], r[8] = {0}, mean[8], inverse[8], g[8], b[8];
        load8(x + (size_t)i * 8, v);
        load8(statistics + c, mean);
        load8(statistics + channels + c, inverse);
        load8(gain + c, g);
        load8(bias + c, b);
        if (residual) load8(residual + (size_t)i * 8, r);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            v[j] = (v[j] - mean[j]) * inverse[j] * g[j] + b[j] + r[j];
            // What is no number stays so, and the step is left out.
            if (relu && v[j] < 0.0f) v[j] = 0;
        }
        store8(y + (size_t)i * 8, v);
    }
}

// The sums that batch norm's backward pass needs, over the gradient dz past the rectifier: of dz and of
// dz * (x - mean) / deviation, [2][channels], which are the gradients of bias and gain, too.
KERNEL norm_gradient_sums(const ELEMENT* dy, const ELEMENT* y, const ELEMENT* x, const float* statistics,
                          int rows, int channels, int relu, float* partial, u32* arrived,
                          float* results, float* of_gain, float* of_bias, int add) {
    SHARED float sums[16][THREADS];
    SHARED float totals[2 * MOST_CHANNELS];
    const int t = threadIdx.x, groups = channels / 8, lanes = THREADS / groups;
    const int group = t % groups, lane = t / groups;
    float mean[8], inverse[8], sum[8], product[8];
    load8(statistics + group * 8, mean);
    load8(statistics + channels + group * 8, inverse);
#pragma unroll
    for (int j = 0; j < 8; j++) sum[j] = product[j] = 0;
    if (lane < lanes) {
#pragma unroll 4
        for (int row = blockIdx.x * lanes + lane; row < rows; row += gridDim.x * lanes) {
            size_t at = (size_t)row * channels + group * 8;
            float dz[8], out[8], v[8];
            load8(dy + at, dz);
            load8(x + at, v);
            if (relu) load8(y + at, out);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                if (relu && !(out[j] > 0.0f)) dz[j] = 0;
                sum[j] += dz[j];
                product[j] += dz[j] * (v[j] - mean[j]);
            }
        }
    }
#pragma unroll
    for (int j = 0; j < 8; j++) {
        sums[j][t] = sum[j];
        sums[j + 8][t] = product[j] * inverse[j];
    }
    write_partial_sums(sums, groups, lanes, partial);
    if (!is_last(arrived)) return;
    add_blocks(partial, gridDim.x, 2 * channels, totals);
    for (int c = t; c < channels; c += THREADS) {
        float s = totals[c], p = totals[channels + c];
        results[c] = s;
        results[channels + c] = p;
        of_bias[c] = add ? of_bias[c] + s : s;
        of_gain[c] = add ? of_gain[c] + p : p;
    }
    if (t == 0) *arrived = 0;
}

// dx = gain / deviation * (dz - (sum dz + xhat * sum dz xhat) / rows), and dz for the residual.
KERNEL norm_gradient_apply(const ELEMENT* dy, const ELEMENT* y, const ELEMENT* x, const float* statistics,
                           const float* gain, const float* results, int rows, int channels, int relu,
                           ELEMENT* dx, int add_dx, ELEMENT* of_residual, int add_residual) {
    const int groups = channels / 8, eights = rows * groups;
    const float share = 1.0f / rows;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        int c = i % groups * 8;
        size_t at = (size_t)i * 8;
        float dz[8], v[8], mean[8], inverse[8], g[8], s[8], p[8];
        load8(dy + at, dz);
        load8(x + at, v);
        load8(statistics + c, mean);
        load8(statistics + channels + c, inverse);
        load8(gain + c, g);
        load8(results + c, s);
        load8(results + channels + c, p);
        if (relu) {
            float out[8];
            load8(y + at, out);
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (!(out[j] > 0.0f)) dz[j] = 0;
        }
        if (of_residual) give8(of_residual + at, dz, add_residual);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            float h = (v[j] - mean[j]) * inverse[j];
            v[j] = g[j] * inverse[j] * (dz[j] - (s[j] + h * p[j]) * share);
        }
        give8(dx + at, v, add_dx);
    }
}

// y = a + b
KERNEL add_maps(const ELEMENT* a, const ELEMENT* b, ELEMENT* y, int eights) {
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        float u[8], v[8];
        load8(a + (size_t)i * 8, u);
        load8(b + (size_t)i * 8, v);
#pragma unroll
        for (int j = 0; j < 8; j++) u[j] += v[j];
        store8(y + (size_t)i * 8, u);
    }
}

// Hands a gradient on.
KERNEL give_map(const ELEMENT* from, ELEMENT* to, int eights, int add) {
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        float v[8];
        load8(from + (size_t)i * 8, v);
        give8(to + (size_t)i * 8, v, add);
    }
}

// --- Kernels of convolutions --------------------------------------------------------------------

// A row of the table: where the kernels [out][taps][channels] lie among the parameters, their size, and
// up to two uses: where the used kernels lie, and the adapter [out][channels] that is added to their
// centres, or -1.
struct KernelUse {
    int kernel, count, taps, channels, uses, weight0, adapter0, weight1, adapter1;
};

DEVICE int adapter_index(const KernelUse& k, int adapter, int i) {
    if (adapter < 0 || i / k.channels % k.taps != k.taps / 2) return -1;
    return adapter + i / (k.channels * k.taps) * k.channels + i % k.channels;
}

KERNEL shape_kernels(const float* values, const KernelUse* table, ELEMENT* weights) {
    KernelUse k = table[blockIdx.y];
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < k.count; i += gridDim.x * THREADS) {
        for (int u = 0; u < k.uses; u++) {
            int at = adapter_index(k, u ? k.adapter1 : k.adapter0, i);
            float value = values[k.kernel + i] + (at < 0 ? 0.0f : values[at]);
            store(&weights[(u ? k.weight1 : k.weight0) + i], value);
        }
    }
}

KERNEL kernel_gradients(const ELEMENT* of_weights, const KernelUse* table, float* gradients) {
    KernelUse k = table[blockIdx.y];
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < k.count; i += gridDim.x * THREADS) {
        float sum = 0;
        for (int u = 0; u < k.uses; u++) {
            float part = to_float(of_weights[(u ? k.weight1 : k.weight0) + i]);
            int at = adapter_index(k, u ? k.adapter1 : k.adapter0, i);
            if (at >= 0) gradients[at] = part;
            sum += part;
        }
        gradients[k.kernel + i] = sum;
    }
}

// --- The first convolution, of one channel ------------------------------------------------------

#define MOST_STEM_WEIGHTS 2048
#define MOST_STEM_ROW 4096
#define MOST_STEM_INPUT 2048

// x is [batch][height][width], the kernels [channels][side][side].
KERNEL stem_forward(const float* x, const ELEMENT* weights, ELEMENT* y, int batch, int height, int width,
                    int side, int stride, int padding, int out_height, int out_width, int channels) {
    // By tap, then by channel.
    SHARED float w[MOST_STEM_WEIGHTS];
    const int taps = side * side, groups = channels / 8;
    for (int i = threadIdx.x; i < taps * channels; i += THREADS)
        w[i % taps * channels + i / taps] = to_float(weights[i]);
    SYNC();
    const int eights = batch * out_height * out_width * groups;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        int group = i % groups, at = i / groups;
        int ox = at % out_width, oy = at / out_width % out_height, n = at / (out_width * out_height);
        float sum[8];
#pragma unroll
        for (int j = 0; j < 8; j++) sum[j] = 0;
        for (int ky = 0; ky < side; ky++) {
            int iy = oy * stride + ky - padding;
            if (iy < 0 || iy >= height) continue;
            for (int kx = 0; kx < side; kx++) {
                int ix = ox * stride + kx - padding;
                if (ix < 0 || ix >= width) continue;
                float value = x[((size_t)n * height + iy) * width + ix];
                const float* tap = w + (ky * side + kx) * channels + group * 8;
#pragma unroll
                for (int j = 0; j < 8; j++) sum[j] += value * tap[j];
            }
        }
        store8(y + (size_t)i * 8, sum);
    }
}

// Partial sums of the kernels' gradient, [blocks][channels * taps].
KERNEL stem_gradient(const float* x, const ELEMENT* dy, float* partial, int batch, int height, int width,
                     int side, int stride, int padding, int out_height, int out_width, int channels) {
    SHARED float rows_of_x[MOST_STEM_INPUT];
    SHARED float row_of_dy[MOST_STEM_ROW];
    const int t = threadIdx.x, taps = side * side, weights = taps * channels;
    const int padded = width + 2 * padding;
    float sums[MOST_STEM_WEIGHTS / THREADS];
#pragma unroll
    for (int p = 0; p < MOST_STEM_WEIGHTS / THREADS; p++) sums[p] = 0;
    for (int row = blockIdx.x; row < batch * out_height; row += gridDim.x) {
        int n = row / out_height, oy = row % out_height;
        SYNC();
        for (int i = t; i < side * padded; i += THREADS) {
            int iy = oy * stride + i / padded - padding, ix = i % padded - padding;
            bool inside = iy >= 0 && iy < height && ix >= 0 && ix < width;
            rows_of_x[i] = inside ? x[((size_t)n * height + iy) * width + ix] : 0.0f;
        }
        const ELEMENT* gradient = dy + (size_t)row * out_width * channels;
        for (int i = t; i < out_width * channels; i += THREADS) row_of_dy[i] = to_float(gradient[i]);
        SYNC();
#pragma unroll
        for (int p = 0; p < MOST_STEM_WEIGHTS / THREADS; p++) {
            int weight = t + p * THREADS;
            if (weight >= weights) break;
            // Neighbouring threads have neighbouring channels.
            int c = weight % channels, tap = weight / channels;
            const float* from = rows_of_x + tap / side * padded + tap % side;
            float sum = 0;
            for (int ox = 0; ox < out_width; ox++) sum += row_of_dy[ox * channels + c] * from[ox * stride];
            sums[p] += sum;
        }
    }
#pragma unroll
    for (int p = 0; p < MOST_STEM_WEIGHTS / THREADS; p++) {
        int weight = t + p * THREADS;
        if (weight >= weights) break;
        int c = weight % channels, tap = weight / channels;
        partial[(size_t)blockIdx.x * weights + c * taps + tap] = sums[p];
    }
}

// The sum of column `blockIdx.x * 32 + t % 32` of [rows][columns], told to the threads below 32.
DEVICE float column_sum(const float* values, int rows, int columns) {
    SHARED float slices[THREADS];
    const int t = threadIdx.x, c = blockIdx.x * 32 + t % 32;
    float sum = 0;
    if (c < columns) {
#pragma unroll 4
        for (int row = t / 32; row < rows; row += THREADS / 32) sum += values[(size_t)row * columns + c];
    }
    slices[t] = sum;
    SYNC();
    if (t < 32)
        for (int s = 1; s < THREADS / 32; s++) sum += slices[s * 32 + t];
    return sum;
}

// The kernels' gradient from its partial sums.
KERNEL add_partial(const float* partial, int blocks, int weights, ELEMENT* of_weights, int add) {
    float sum = column_sum(partial, blocks, weights);
    int c = blockIdx.x * 32 + threadIdx.x;
    if (threadIdx.x < 32 && c < weights) store(&of_weights[c], add ? sum + to_float(of_weights[c]) : sum);
}

#ifdef ELEMENT_BF16

// --- Convolutions on tensor cores, for few channels ----------------------------------------------
//
// A convolution is a product over positions (rows), taps times channels (sums) and channels (columns). Operands go
// from memory straight into the fragments of mma.m16n8k16: a warp holds 16 by 8 results in 4 registers of each
// thread, and its lane / 4 and lane % 4 say which. Where a fragment wants two values that follow each other along
// an axis that lies apart in memory, two neighbouring channels of both are read, and serve two fragments; the
// channels of two fragments then alternate.

#define TILE 16
#define MOST_TILES 3

// d += a * b, over a warp.
DEVICE void multiply_tile(float* d, const u32* a, const u32* b) {
#ifdef EMULATED
    SHARED u32 all_a[THREADS][4], all_b[THREADS][2];
    const int t = threadIdx.x, warp = t - t % 32, lane = t % 32;
    for (int i = 0; i < 4; i++) all_a[t][i] = a[i];
    for (int i = 0; i < 2; i++) all_b[t][i] = b[i];
    SYNC_WARP();
    for (int e = 0; e < 4; e++) {
        int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        for (int k = 0; k < 16; k++) {
            int pair = k % 8 / 2, shift = k % 2 * 16;
            u32 of_a = all_a[warp + row % 8 * 4 + pair][row / 8 + k / 8 * 2];
            u32 of_b = all_b[warp + column * 4 + pair][k / 8];
            d[e] += __uint_as_float(of_a >> shift << 16) * __uint_as_float(of_b >> shift << 16);
        }
    }
    SYNC_WARP();
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Whether one thread of the warp says so.
DEVICE bool any_of_warp(bool here) {
#ifdef EMULATED
    return here || true;
#else
    return __any_sync(0xffffffff, here);
#endif
}

DEVICE u32 load_pair(const bf16* row, int at) { return row ? *(const u32*)(row + at) : 0; }
// Two pairs, regrouped: their lower halves, their upper halves.
DEVICE u32 lower(u32 first, u32 second) { return (first & 0xffff) | second << 16; }
DEVICE u32 upper(u32 first, u32 second) { return first >> 16 | (second & 0xffff0000); }

// Sizes of a convolution from [images][height][width][channels] to [images][out_height][out_width][out_channels].
struct Sizes {
    int images, height, width, channels, out_height, out_width, out_channels, rows, columns, stride, padding;
};

// A convolution, or with `transposed` the gradient of its input from that of its output: then what is read is that
// gradient, and the sizes' input and output are exchanged. The kernels lie as the convolution has them. A block takes
// 256 positions and 48 channels of the result.
KERNEL tensor_convolution(const bf16* from, const bf16* weights, bf16* to, Sizes s, int transposed, int add) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
    const int base = (blockIdx.x * (THREADS / 32) + warp) * 2 * TILE;
    const int first = blockIdx.y * MOST_TILES * TILE;
    const int taps = s.rows * s.columns, positions = s.images * s.out_height * s.out_width;
    int tiles = (s.out_channels - first + TILE - 1) / TILE;
    if (tiles > MOST_TILES) tiles = MOST_TILES;
    // The four positions that this thread reads for.
    int image[4], y[4], x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int m = base + g + 8 * i;
        int ox = m % s.out_width, oy = m / s.out_width % s.out_height;
        image[i] = m < positions ? m / (s.out_width * s.out_height) * s.height * s.width : -1;
        y[i] = transposed ? oy + s.padding : oy * s.stride - s.padding;
        x[i] = transposed ? ox + s.padding : ox * s.stride - s.padding;
    }
    float sums[2][2 * MOST_TILES][4];
#pragma unroll
    for (int i = 0; i < 2 * 2 * MOST_TILES * 4; i++) (&sums[0][0][0])[i] = 0;
    for (int tap = 0; tap < taps; tap++) {
        int ky = tap / s.columns, kx = tap % s.columns;
        const bf16* row[4];
        bool here = false;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int iy, ix;
            bool inside = image[i] >= 0;
            if (transposed) {
                int ty = y[i] - ky, tx = x[i] - kx;
                iy = ty / s.stride;
                ix = tx / s.stride;
                inside = inside && ty >= 0 && tx >= 0 && iy * s.stride == ty && ix * s.stride == tx;
            } else {
                iy = y[i] + ky;
                ix = x[i] + kx;
                inside = inside && iy >= 0 && ix >= 0;
            }
            inside = inside && iy < s.height && ix < s.width;
            row[i] = inside ? from + (size_t)(image[i] + iy * s.width + ix) * s.channels : 0;
            here = here || inside;
        }
        if (!any_of_warp(here)) continue;
        for (int c = 0; c < s.channels; c += TILE) {
            const int k = c + 2 * q;
            const bool further = c + 8 < s.channels;
            u32 a[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    a[m][i] = load_pair(row[2 * m + i], k);
                    a[m][2 + i] = further ? load_pair(row[2 * m + i], k + 8) : 0;
                }
            }
#pragma unroll
            for (int tile = 0; tile < MOST_TILES; tile++) {
                if (tile >= tiles) break;
                const int n = first + tile * TILE + 2 * g;
                u32 b[2][2] = {{0, 0}, {0, 0}};
                if (n < s.out_channels) {
                    if (transposed) {
                        const size_t next = (size_t)taps * s.out_channels;
                        const bf16* w = weights + (size_t)k * next + tap * s.out_channels + n;
                        u32 low = load_pair(w, 0), high = load_pair(w + next, 0);
                        b[0][0] = lower(low, high);
                        b[1][0] = upper(low, high);
                        if (further) {
                            low = load_pair(w + 8 * next, 0);
                            high = load_pair(w + 9 * next, 0);
                            b[0][1] = lower(low, high);
                            b[1][1] = upper(low, high);
                        }
                    } else {
                        const bf16* w = weights + (size_t)(n * taps + tap) * s.channels + k;
#pragma unroll
                        for (int j = 0; j < 2; j++) {
                            b[j][0] = load_pair(w + (size_t)j * taps * s.channels, 0);
                            if (further) b[j][1] = load_pair(w + (size_t)j * taps * s.channels, 8);
                        }
                    }
                }
#pragma unroll
                for (int m = 0; m < 2; m++) {
#pragma unroll
                    for (int j = 0; j < 2; j++) multiply_tile(sums[m][2 * tile + j], a[m], b[j]);
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (image[i] < 0) continue;
#pragma unroll
        for (int tile = 0; tile < MOST_TILES; tile++) {
            int n = first + tile * TILE + 4 * q;
            if (tile >= tiles || n >= s.out_channels) break;
            bf16* out = to + (size_t)(base + g + 8 * i) * s.out_channels + n;
            float(*of)[4] = &sums[i / 2][2 * tile];
            const int half = i % 2 * 2;
            float v[4] = {of[0][half], of[1][half], of[0][half + 1], of[1][half + 1]};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (add) v[j] += to_float(out[j]);
                store(&out[j], v[j]);
            }
        }
    }
}

// Partial sums of the kernels' gradient, [blocks across][out][taps][channels]. A warp takes 48 by 48 channels of a
// tap; the blocks across share the positions out.
KERNEL tensor_kernel_gradient(const bf16* from, const bf16* dy, float* partial, Sizes s) {
    SHARED int pixel[THREADS], top[THREADS], left[THREADS];
    const int t = threadIdx.x, lane = t % 32, g = lane / 4, q = lane % 4;
    const int taps = s.rows * s.columns, positions = s.images * s.out_height * s.out_width;
    const int across = MOST_TILES * TILE, groups = (s.channels + across - 1) / across;
    const int out_groups = (s.out_channels + across - 1) / across;
    const int task = blockIdx.y * (THREADS / 32) + t / 32;
    const bool busy = task < taps * groups * out_groups;
    const int tap = task % taps, ky = tap / s.columns, kx = tap % s.columns;
    const int c0 = task / taps % groups * across, o0 = task / (taps * groups) * across;
    float sums[MOST_TILES][2 * MOST_TILES][4];
#pragma unroll
    for (int i = 0; i < MOST_TILES * 2 * MOST_TILES * 4; i++) (&sums[0][0][0])[i] = 0;
    for (int chunk = blockIdx.x * THREADS; chunk < positions; chunk += gridDim.x * THREADS) {
        SYNC();
        int m = chunk + t;
        pixel[t] = m / (s.out_width * s.out_height) * s.height * s.width;
        top[t] = m < positions ? m / s.out_width % s.out_height * s.stride - s.padding : -s.rows;
        left[t] = m % s.out_width * s.stride - s.padding;
        SYNC();
        if (!busy) continue;
        for (int step = 0; step < THREADS; step += TILE) {
            const bf16 *x[4], *of_y[4];
            bool here = false;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int at = step + 2 * q + i % 2 + i / 2 * 8;
                int iy = top[at] + ky, ix = left[at] + kx;
                bool inside = iy >= 0 && ix >= 0 && iy < s.height && ix < s.width;
                x[i] = inside ? from + (size_t)(pixel[at] + iy * s.width + ix) * s.channels : 0;
                of_y[i] = inside ? dy + (size_t)(chunk + at) * s.out_channels : 0;
                here = here || inside;
            }
            if (!any_of_warp(here)) continue;
            u32 a[MOST_TILES][4];
#pragma unroll
            for (int tile = 0; tile < MOST_TILES; tile++) {
                const int o = o0 + tile * TILE + 2 * g;
                u32 pairs[4];
#pragma unroll
                for (int i = 0; i < 4; i++) pairs[i] = o < s.out_channels ? load_pair(of_y[i], o) : 0;
                a[tile][0] = lower(pairs[0], pairs[1]);
                a[tile][1] = upper(pairs[0], pairs[1]);
                a[tile][2] = lower(pairs[2], pairs[3]);
                a[tile][3] = upper(pairs[2], pairs[3]);
            }
#pragma unroll
            for (int tile = 0; tile < MOST_TILES; tile++) {
                const int c = c0 + tile * TILE + 2 * g;
                if (c0 + tile * TILE >= s.channels) break;
                u32 pairs[4];
#pragma unroll
                for (int i = 0; i < 4; i++) pairs[i] = c < s.channels ? load_pair(x[i], c) : 0;
                u32 b[2][2] = {{lower(pairs[0], pairs[1]), lower(pairs[2], pairs[3])},
                               {upper(pairs[0], pairs[1]), upper(pairs[2], pairs[3])}};
#pragma unroll
                for (int out = 0; out < MOST_TILES; out++) {
                    if (o0 + out * TILE >= s.out_channels) break;
#pragma unroll
                    for (int j = 0; j < 2; j++) multiply_tile(sums[out][2 * tile + j], a[out], b[j]);
                }
            }
        }
    }
    if (!busy) return;
    float* mine = partial + (size_t)blockIdx.x * s.out_channels * taps * s.channels;
#pragma unroll
    for (int out = 0; out < MOST_TILES; out++) {
#pragma unroll
        for (int tile = 0; tile < MOST_TILES; tile++) {
            const int c = c0 + tile * TILE + 4 * q;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int o = o0 + out * TILE + 2 * g + half;
                if (c >= s.channels || o >= s.out_channels) continue;
                float* to = mine + (size_t)(o * taps + tap) * s.channels + c;
                float(*of)[4] = &sums[out][2 * tile];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    to[2 * i] = of[0][2 * half + i];
                    to[2 * i + 1] = of[1][2 * half + i];
                }
            }
        }
    }
}

#endif

// --- Rows ---------------------------------------------------------------------------------------

// Means of x, [images][height][width][channels], over the height and each of `bands` parts of the
// width: [images][channels * bands], a channel's bands side by side.
KERNEL band_means(const ELEMENT* x, float* means, int images, int height, int width, int channels, int bands) {
    const int columns = width / bands;
    const float share = 1.0f / (height * columns);
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < images * bands * channels; i += gridDim.x * THREADS) {
        int c = i % channels, band = i / channels % bands, n = i / (channels * bands);
        float sum = 0;
        for (int h = 0; h < height; h++)
            for (int w = band * columns; w < (band + 1) * columns; w++)
                sum += to_float(x[(((size_t)n * height + h) * width + w) * channels + c]);
        means[((size_t)n * channels + c) * bands + band] = sum * share;
    }
}

KERNEL band_means_gradient(const float* of_means, ELEMENT* dx, int images, int height, int width, int channels,
                           int bands, int add) {
    const int columns = width / bands, groups = channels / 8;
    const float share = 1.0f / (height * columns);
    const int eights = images * height * width * groups;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < eights; i += gridDim.x * THREADS) {
        int c = i % groups * 8, w = i / groups % width, n = i / (groups * width * height);
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = of_means[((size_t)n * channels + c + j) * bands + w / columns] * share;
        give8(dx + (size_t)i * 8, v, add);
    }
}

KERNEL add_bias(float* y, const float* bias, int rows, int columns) {
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < rows * columns; i += gridDim.x * THREADS)
        y[i] += bias[i % columns];
}

KERNEL column_sums(const float* values, int rows, int columns, float* sums, int add) {
    float sum = column_sum(values, rows, columns);
    int c = blockIdx.x * 32 + threadIdx.x;
    if (threadIdx.x < 32 && c < columns) sums[c] = add ? sums[c] + sum : sum;
}

// --- Losses: a block for each row ---------------------------------------------------------------

// Rows of unit length and one over the lengths.
KERNEL unit_rows(const float* x, float* unit, float* inverse, int dim) {
    const float* row = x + (size_t)blockIdx.x * dim;
    float squares = 0;
    for (int d = threadIdx.x; d < dim; d += THREADS) squares += row[d] * row[d];
    float scale = 1.0f / sqrtf(block_sum(squares) + 1e-12f);
    for (int d = threadIdx.x; d < dim; d += THREADS) unit[(size_t)blockIdx.x * dim + d] = row[d] * scale;
    if (threadIdx.x == 0) inverse[blockIdx.x] = scale;
}

// The gradient of the rows from that of their directions.
KERNEL unit_rows_gradient(const float* unit, const float* inverse, const float* of_unit, float* dx, int dim, int add) {
    const size_t at = (size_t)blockIdx.x * dim;
    float along = 0;
    for (int d = threadIdx.x; d < dim; d += THREADS) along += unit[at + d] * of_unit[at + d];
    along = block_sum(along);
    float scale = inverse[blockIdx.x];
    for (int d = threadIdx.x; d < dim; d += THREADS) {
        float g = (of_unit[at + d] - unit[at + d] * along) * scale;
        dx[at + d] = add ? dx[at + d] + g : g;
    }
}

// NT-Xent: `similarity`, [rows][rows], holds cosines; each becomes `weight` times the loss' gradient by it
// as this row has it. The other view of a row is half of the rows away.
KERNEL nt_xent_rows(float* similarity, int rows, float temperature, float weight, float* losses) {
    const int row = blockIdx.x, other = (row + rows / 2) % rows;
    float* mine = similarity + (size_t)row * rows;
    const float sharpness = 1.0f / temperature;
    // Exponentials of distances from the largest: one of them is 1, however small the temperature.
    float top = -2.0f, sum = 0;
    for (int k = threadIdx.x; k < rows; k += THREADS)
        if (k != row && !(mine[k] < top)) top = mine[k];
    top = block_max(top);
    for (int k = threadIdx.x; k < rows; k += THREADS)
        if (k != row) sum += expf((mine[k] - top) * sharpness);
    sum = block_sum(sum);
    float positive = mine[other];
    SYNC();
    const float scale = weight * sharpness / rows, share = 1.0f / sum;
    for (int k = threadIdx.x; k < rows; k += THREADS) {
        float p = k == row ? 0.0f : expf((mine[k] - top) * sharpness) * share;
        mine[k] = (p - (k == other ? 1.0f : 0.0f)) * scale;
    }
    if (threadIdx.x == 0) losses[row] = (logf(sum) + (top - positive) * sharpness) / rows;
}

// A row's loss: share * (base - cos(p, target)), where the target is the row `shift` further. The share is
// `scale`, or counted / max(sum of counted, 1). `weight` times the gradient goes to dp.
KERNEL cosine_rows(const float* p, const float* targets, const float* counted, int rows, int dim, int shift,
                   float scale, float base, float weight, float* dp, int add, float* losses) {
    const int row = blockIdx.x;
    const float* target = targets + (size_t)((row + shift) % rows) * dim;
    const size_t at = (size_t)row * dim;
    float pp = 0, pt = 0, tt = 0, count = 0;
    for (int d = threadIdx.x; d < dim; d += THREADS) {
        float a = p[at + d], b = target[d];
        pp += a * a;
        pt += a * b;
        tt += b * b;
    }
    float share = scale;
    if (counted) {
        for (int r = threadIdx.x; r < rows; r += THREADS) count += counted[r];
        share = counted[row] / fmaxf(block_sum(count), 1.0f);
    }
    pp = block_sum(pp);
    pt = block_sum(pt);
    tt = block_sum(tt);
    float inverse_p = 1.0f / sqrtf(pp + 1e-12f), inverse_t = 1.0f / sqrtf(tt + 1e-12f);
    float cosine = pt * inverse_p * inverse_t;
    for (int d = threadIdx.x; d < dim; d += THREADS) {
        float along = target[d] * inverse_t - p[at + d] * inverse_p * cosine;
        float g = -weight * share * along * inverse_p;
        dp[at + d] = add ? dp[at + d] + g : g;
    }
    if (threadIdx.x == 0) losses[row] = share * (base - cosine);
}

// Rows that count in the predictive loss and operators that ran in them, into totals[0..2].
KERNEL predictive_totals(const float* labels, const float* snr, float least_snr, int rows, int operators, float* totals) {
    float counted = 0, ran = 0;
    for (int r = threadIdx.x; r < rows; r += THREADS) {
        if (!(snr[r] >= least_snr)) continue;
        counted += 1;
        for (int o = 0; o < operators; o++) ran += labels[r * operators + o];
    }
    counted = block_sum(counted);
    ran = block_sum(ran);
    if (threadIdx.x == 0) {
        totals[0] = counted;
        totals[1] = ran;
    }
}

// Cross entropy of logits against labels, and squared error of the parameters of the operators that ran, over the
// rows whose SNR is high enough. Of each row: entropy, share of right labels, and error.
KERNEL predictive_rows(const float* logits, const float* predicted, const float* labels, const float* wanted,
                       const float* snr, float least_snr, const float* totals, int rows, int operators,
                       float weight, float weight_of_parameters, float* of_logits, int add_logits,
                       float* of_predicted, int add_predicted, float* entropies, float* right, float* errors) {
    for (int r = blockIdx.x * THREADS + threadIdx.x; r < rows; r += gridDim.x * THREADS) {
        float share = snr[r] >= least_snr ? 1.0f / (fmaxf(totals[0], 1.0f) * operators) : 0.0f;
        float of_ran = snr[r] >= least_snr ? 1.0f / fmaxf(totals[1], 1.0f) : 0.0f;
        float entropy = 0, hits = 0, error = 0;
        for (int o = 0; o < operators; o++) {
            int at = r * operators + o;
            float x = logits[at], label = labels[at];
            entropy += fmaxf(x, 0.0f) - x * label + logf(1.0f + expf(-fabsf(x)));
            hits += (x > 0.0f) == (label > 0.5f) ? 1.0f : 0.0f;
            float g = weight * share * (1.0f / (1.0f + expf(-x)) - label);
            of_logits[at] = add_logits ? of_logits[at] + g : g;
            if (predicted) {
                float d = predicted[at] - wanted[at];
                error += d * d * label;
                float h = weight_of_parameters * of_ran * 2.0f * d * label;
                of_predicted[at] = add_predicted ? of_predicted[at] + h : h;
            }
        }
        entropies[r] = entropy * share;
        right[r] = hits * share;
        errors[r] = error * of_ran;
    }
}

// Deviation of each column of unit rows, for the spread of projections.
KERNEL column_deviations(const float* unit, int rows, int dim, float* deviations) {
    SHARED float slices[2][THREADS];
    const int t = threadIdx.x, c = blockIdx.x * 32 + t % 32;
    float sum = 0, squares = 0;
    if (c < dim) {
        for (int row = t / 32; row < rows; row += THREADS / 32) {
            float v = unit[(size_t)row * dim + c];
            sum += v;
            squares += v * v;
        }
    }
    slices[0][t] = sum;
    slices[1][t] = squares;
    SYNC();
    if (t < 32 && c < dim) {
        for (int s = 1; s < THREADS / 32; s++) {
            sum += slices[0][s * 32 + t];
            squares += slices[1][s * 32 + t];
        }
        float mean = sum / rows;
        deviations[c] = sqrtf(fmaxf(squares / rows - mean * mean, 0.0f));
    }
}

// Adds scale * sum of the values to *slot, and weight times that to *total. One block.
KERNEL add_to_log(const float* values, int count, float scale, float weight, float* slot, float* total) {
    float sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) sum += values[i];
    sum = block_sum(sum) * scale;
    if (threadIdx.x == 0) {
        *slot += sum;
        *total += weight * sum;
    }
}

KERNEL clear(float* values, int count) {
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < count; i += gridDim.x * THREADS) values[i] = 0;
}

// --- The optimiser ------------------------------------------------------------------------------

// State of the optimiser: what a step needs, then what the log tells.
struct Optimiser {
    // Set before each step.
    float learning_rate, weight_decay, clip_norm, unused;
    // Made by `gradient_norm`.
    float norm, clip, rate, eps;
    int ok;
    // Steps taken, steps left out in a row, and both since the log was read.
    int steps, failures, logged, left_out;
    float norm_sum;
    // Most steps left out in a row since the log was read.
    int most_failures;
};

#define BETA1 0.9f
#define BETA2 0.999f
#define EPS 1e-8f

// The joint length of all gradients; with it, whether the step is taken, and its rate. Adds the step's losses,
// log[0..slots], to sums if it is. log[0] is the total loss.
KERNEL gradient_norm(const float* gradients, int count, float* partial, u32* arrived, Optimiser* state,
                     const float* log, float* sums, int slots) {
    float squares = 0;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < count; i += gridDim.x * THREADS)
        squares += gradients[i] * gradients[i];
    squares = block_sum(squares);
    if (threadIdx.x == 0) partial[blockIdx.x] = squares;
    if (!is_last(arrived)) return;
    float total = 0;
    for (u32 b = threadIdx.x; b < gridDim.x; b += THREADS) total += partial[b];
    total = block_sum(total);
    if (threadIdx.x == 0) {
        *arrived = 0;
        float norm = sqrtf(total);
        int ok = is_finite(norm) && is_finite(log[0]);
        state->norm = norm;
        state->ok = ok;
        if (ok) {
            state->steps += 1;
            state->failures = 0;
            state->logged += 1;
            state->norm_sum += norm;
            state->clip = fminf(state->clip_norm / fmaxf(norm, 1e-12f), 1.0f);
            double c1 = 1.0 - pow(0.9, (double)state->steps), c2 = 1.0 - pow(0.999, (double)state->steps);
            state->rate = (float)(state->learning_rate * sqrt(c2) / c1);
            state->eps = (float)(EPS * sqrt(c2));
        } else {
            state->failures += 1;
            if (state->failures > state->most_failures) state->most_failures = state->failures;
            state->left_out += 1;
        }
    }
    SYNC();
    if (state->ok)
        for (int i = threadIdx.x; i < slots; i += THREADS) sums[i] += log[i];
}

// AdamW. `kinds`: 0 for a value that nothing trains, 1 for one that is not decayed, 2 for the others.
KERNEL adamw(float* values, const float* gradients, float* first, float* second, const unsigned char* kinds,
             int count, const Optimiser* state) {
    if (!state->ok) return;
    const float clip = state->clip, rate = state->rate, eps = state->eps;
    const float decay = state->learning_rate * state->weight_decay;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < count; i += gridDim.x * THREADS) {
        int kind = kinds[i];
        if (kind == 0) continue;
        float g = gradients[i] * clip;
        float m = first[i] = BETA1 * first[i] + (1.0f - BETA1) * g;
        float v = second[i] = BETA2 * second[i] + (1.0f - BETA2) * g * g;
        float value = values[i];
        values[i] = value - ((kind == 2 ? decay * value : 0.0f) + rate * m / (sqrtf(v) + eps));
    }
}
