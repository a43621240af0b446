// Makes the views of a training step out of decoded sound: cut, operators, environment, log-mel features. The
// processor makes the same ones (src/augment, src/train/pairs.rs), and a test compares the two. Compiled behind
// kernels.cu, for float alone.

typedef unsigned long long u64;

// Complex number.
struct Pair {
    float re, im;
};

DEVICE Pair operator+(Pair a, Pair b) { return {a.re + b.re, a.im + b.im}; }
DEVICE Pair operator-(Pair a, Pair b) { return {a.re - b.re, a.im - b.im}; }
DEVICE Pair operator*(Pair a, Pair b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
DEVICE Pair conjugate(Pair a) { return {a.re, -a.im}; }

// --- What the host draws ------------------------------------------------------------------------

enum { PITCH_SHIFT, FADE, WHITE_NOISE, COLOURED_NOISE, TIME_MASKING, TIME_STRETCH, TIME_SHIFT };
enum { NO_BACKGROUND, SOUND_BEHIND, NOISE_BEHIND };

#define OPERATORS 7
#define PLACES 8
#define SECTIONS 6

// An operator: `DrawnWords` in views.rs, word by word.
struct Operation {
    // One of the above, or -1.
    int kind;
    // What a head is to tell of it, from -1 to 1.
    float told;
    // Pitch shift: ratio of frequencies. Stretch: rate. Noises: SNR as a ratio of amplitudes.
    float value;
    // Coloured noise: exponent. Pitch shift: share of Nyquist that is kept.
    float second;
    u32 seed[2];
    // Fade: shape, and samples at both ends. Shift: first sample. Masking: samples of the span, of a frame, of a
    // crossfade, and the rank of the quiet frame. Pitch shift, stretch: samples that the vocoder makes. Stretch: of
    // the crossfade.
    int sizes[4];
    // Masking: first samples to try.
    int places[PLACES];
};

// Sound in the store: `SoundWords` in views.rs.
struct Sound {
    // Number of its first sample in the store.
    u32 from[2];
    int length, first;
    float step;
};

// A view: `ViewWords` in views.rs.
struct View {
    Sound sound;
    // Number of the window among those that teachers have heard, or -1.
    int window;
    int background;
    Sound behind;
    u32 seed[2];
    // SNR as a ratio of amplitudes, and in dB; exponent of the noise.
    float snr, snr_db, decay;
    int tilted;
    float gain, zeros[SECTIONS], poles[SECTIONS];
    // Gain of the level, or 0; whether it is of the peak.
    float level;
    int of_peak;
    Operation operations[OPERATORS];
};

// Sizes that all views have: `Sizes` in views.rs.
struct ViewSizes {
    // Samples of a view, and of the memory for one.
    int samples, padded;
    // Values of the scratch memory of a view.
    int scratch;
    // Length of the vocoder's transform, and of that of coloured noise.
    int vocoder, noise;
    // Entries of the table of turns.
    int turns;
};

DEVICE u64 wide(const u32* words) { return (u64)words[1] << 32 | words[0]; }

// --- Noise --------------------------------------------------------------------------------------

// Number `index` of the stream of a seed: SplitMix64, as mtslvr_audio::Noise has it.
DEVICE float normal(u64 seed, int index) {
    u64 mixed = seed + (u64)(index + 1) * 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    mixed ^= mixed >> 31;
    int sum = (short)mixed + (short)(mixed >> 16) + (short)(mixed >> 32) + (short)(mixed >> 48);
    return ((float)sum + 2.0f) * (1.7320508f / 65536.0f);
}

// --- Fourier transform --------------------------------------------------------------------------

// Transforms `size` numbers, a power of two, between `a` and `b` (Stockham, radix 4): forward with exp(-), else with
// exp(+), neither scaled. `turns` are exp(-2 pi i k / count). Returns the one of the two that has the result.
DEVICE Pair* transform(Pair* a, Pair* b, int size, const Pair* turns, int count, bool forward) {
    const int t = threadIdx.x;
    // The stride is a power of two.
    int stride = 1, bits = 0, left = size;
    while (left > 1) {
        SYNC();
        if (left % 4 == 0) {
            const int quarter = size / 4, each = left / 4, step = count / left;
            for (int i = t; i < quarter; i += THREADS) {
                int p = i >> bits, q = i & (stride - 1);
                Pair x0 = a[q + stride * p], x1 = a[q + stride * (p + each)];
                Pair x2 = a[q + stride * (p + 2 * each)], x3 = a[q + stride * (p + 3 * each)];
                Pair w1 = turns[p * step], w2 = turns[2 * p * step], w3 = turns[3 * p * step];
                Pair even = x0 + x2, odd = x1 + x3, lower = x0 - x2, d = x1 - x3;
                Pair turned = {-d.im, d.re};
                if (!forward) {
                    w1 = conjugate(w1), w2 = conjugate(w2), w3 = conjugate(w3);
                    turned = {d.im, -d.re};
                }
                Pair* to = b + q + stride * 4 * p;
                to[0] = even + odd;
                to[stride] = w1 * (lower - turned);
                to[2 * stride] = w2 * (even - odd);
                to[3 * stride] = w3 * (lower + turned);
            }
            left /= 4, stride *= 4, bits += 2;
        } else {
            const int half = size / 2, each = left / 2, step = count / left;
            for (int i = t; i < half; i += THREADS) {
                int p = i >> bits, q = i & (stride - 1);
                Pair x0 = a[q + stride * p], x1 = a[q + stride * (p + each)];
                Pair w = turns[p * step];
                if (!forward) w = conjugate(w);
                Pair* to = b + q + stride * 2 * p;
                to[0] = x0 + x1;
                to[stride] = w * (x0 - x1);
            }
            left /= 2, stride *= 2, bits += 1;
        }
        Pair* swapped = a;
        a = b;
        b = swapped;
    }
    SYNC();
    return a;
}

// --- Phase vocoder ------------------------------------------------------------------------------

#define MOST_VOCODER 1024

// A bin less its neighbours, of which there are `bins`.
DEVICE Pair locked(const Pair* spectrum, int bin, int bins) {
    Pair sum = spectrum[bin];
    if (bin > 0) sum = sum - spectrum[bin - 1];
    if (bin + 1 < bins) sum = sum - spectrum[bin + 1];
    return sum;
}

// Writes `length` samples of `input` (of `samples`) at `rate`, without what lies above `band` of Nyquist: see
// src/augment/phase_vocoder.rs. `window` is as long as the transform.
DEVICE void stretch(const float* input, int samples, float rate, float band, int length, float* output,
                    const float* window, const Pair* turns, const ViewSizes& s) {
    SHARED Pair frames[2][MOST_VOCODER];
    SHARED Pair last[MOST_VOCODER / 2 + 1], now[MOST_VOCODER / 2 + 1], before[MOST_VOCODER / 2 + 1];
    const int t = threadIdx.x, size = s.vocoder, hop = size / 4, bins = size / 2 + 1;
    int kept = (int)(band * (bins - 1)) + 1;
    if (kept > bins) kept = bins;
    const float gain = 1.0f / (1.5f * size);
    SYNC();
    for (int i = t; i < length; i += THREADS) output[i] = 0;
    const int count = length / hop + 2;
    for (int frame = 0; frame <= count; frame++) {
        const int centre = frame * hop - hop;
        const int source = (int)roundf((float)centre * rate);
        // Both frames by one transform: the input's own as the real part, that of a hop before as the imaginary one.
        for (int i = t; i < size; i += THREADS) {
            int at = source - size / 2 + i, earlier = at - hop;
            frames[0][i].re = at >= 0 && at < samples ? input[at] * window[i] : 0.0f;
            frames[0][i].im = earlier >= 0 && earlier < samples ? input[earlier] * window[i] : 0.0f;
        }
        Pair* both = transform(frames[0], frames[1], size, turns, s.turns, true);
        for (int k = t; k < bins; k += THREADS) {
            Pair z = both[k], mirrored = conjugate(both[k == 0 ? 0 : size - k]);
            Pair sum = z + mirrored, d = z - mirrored;
            now[k] = {0.5f * sum.re, 0.5f * sum.im};
            before[k] = {0.5f * d.im, -0.5f * d.re};
        }
        SYNC();
        for (int k = t; k < bins; k += THREADS) {
            Pair value = now[k];
            if (frame > 0 && k < kept) {
                Pair turn = locked(last, k, bins) * conjugate(locked(before, k, bins));
                float square = turn.re * turn.re + turn.im * turn.im;
                if (square > 1e-30f) {
                    float scale = 1.0f / sqrtf(square);
                    value = value * Pair{turn.re * scale, turn.im * scale};
                }
            }
            if (k >= kept) value = {0, 0};
            now[k] = value;
            if (k == 0 || k == bins - 1) {
                frames[0][k] = {value.re, 0};
            } else {
                frames[0][k] = value;
                frames[0][size - k] = conjugate(value);
            }
        }
        SYNC();
        for (int k = t; k < bins; k += THREADS) last[k] = now[k];
        const Pair* made = transform(frames[0], frames[1], size, turns, s.turns, false);
        for (int i = t; i < size; i += THREADS) {
            int at = centre - size / 2 + i;
            if (at >= 0 && at < length) output[at] += made[i].re * window[i] * gain;
        }
        SYNC();
    }
}

// --- Operators ----------------------------------------------------------------------------------

DEVICE float block_power(const float* x, int count) {
    float sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) sum += x[i] * x[i];
    return block_sum(sum) / (float)count;
}

DEVICE float block_peak(const float* x, int count) {
    float peak = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) peak = fmaxf(peak, fabsf(x[i]));
    return block_max(peak);
}

// Scales what is beyond full scale down to it.
DEVICE void limit(float* x, int count) {
    float peak = block_peak(x, count);
    if (peak > 1.0f)
        for (int i = threadIdx.x; i < count; i += THREADS) x[i] *= 1.0f / peak;
    SYNC();
}

// Puts `other` `ratio` below `x`, both in amplitude, and adds `x`; returns whether neither is silent.
DEVICE bool mix(const float* x, float* other, float ratio, int count) {
    SYNC();
    float signal = block_power(x, count), noise = block_power(other, count);
    if (!(signal > 0.0f) || !(noise > 0.0f)) return false;
    float gain = sqrtf(signal / noise) * ratio;
    for (int i = threadIdx.x; i < count; i += THREADS) other[i] = other[i] * gain + x[i];
    SYNC();
    return true;
}

// Noise whose power falls as frequency to the power of `decay`, out of one transform in `scratch`.
DEVICE void coloured(u64 seed, float decay, float* output, float* scratch, const Pair* turns, const ViewSizes& s) {
    const int t = threadIdx.x, size = s.noise;
    Pair *a = (Pair*)scratch, *b = a + size;
    SYNC();
    for (int k = t; k <= size / 2; k += THREADS) {
        float log_frequency = logf(fmaxf((float)k / (float)size, 1e-3f)) - logf(0.5f);
        float gain = expf(-0.5f * decay * log_frequency);
        Pair value = {gain * normal(seed, 2 * k), gain * normal(seed, 2 * k + 1)};
        if (k == 0 || k == size / 2) {
            a[k] = {value.re, 0};
        } else {
            a[k] = value;
            a[size - k] = conjugate(value);
        }
    }
    const Pair* made = transform(a, b, size, turns, s.turns, false);
    for (int i = t; i < s.samples; i += THREADS) output[i] = made[i].re;
    SYNC();
}

DEVICE float fade_gain(int shape, float progress) {
    const float curvature = 4.0f;
    if (shape == 0) return progress;
    if (shape == 1) return log1pf(progress * expm1f(curvature)) / curvature;
    return expm1f(progress * curvature) / expm1f(curvature);
}

// Gain of sample `index` of a fade over `length`: computed at every eighth, and straight between.
DEVICE float ramp(int shape, int index, int length) {
    int block = index / 8;
    float from = block == 0 ? 0.0f : fade_gain(shape, fminf((float)(block * 8) / (float)length, 1.0f));
    float to = fade_gain(shape, fminf((float)(block * 8 + 8) / (float)length, 1.0f));
    return from + (to - from) * 0.125f * (float)(index % 8);
}

#define ORDER 8
#define MOST_FRAMES 256

// Replaces a span by noise like the quiet frames of the clip; returns whether there was one that stands out.
DEVICE bool mask(const Operation& o, const float* x, float* y, float* scratch, int samples) {
    SHARED float powers[MOST_FRAMES];
    SHARED int chosen, start;
    SHARED float correlation[ORDER + 1];
    const int t = threadIdx.x, span = o.sizes[0], frame = o.sizes[1], crossfade = o.sizes[2], rank = o.sizes[3];
    const int frames = samples / frame;
    const float turn = 6.2831855f;
    SYNC();
    if (t == 0) chosen = 0, start = -1;
    for (int f = t; f < frames; f += THREADS) {
        float sum = 0;
        for (int i = 0; i < frame; i++) sum += x[f * frame + i] * x[f * frame + i];
        powers[f] = sum / (float)frame;
    }
    SYNC();
    for (int f = t; f < frames; f += THREADS) {
        int quieter = 0;
        for (int g = 0; g < frames; g++) quieter += powers[g] < powers[f] || (powers[g] == powers[f] && g < f);
        if (quieter == rank) chosen = f;
    }
    SYNC();
    const float* quiet = x + chosen * frame;
    const float floor = powers[chosen];
    for (int p = 0; p < PLACES; p++) {
        float loud = block_power(x + o.places[p], span);
        if (loud > 4.0f * floor) {
            if (t == 0) start = o.places[p];
            break;
        }
    }
    SYNC();
    if (start < 0) return false;
    float gain = 0;
    if (floor > 0.0f) {
        if (t <= ORDER) {
            float sum = 0;
            for (int i = 0; i + t < frame; i++) {
                int j = i + t;
                float a = 0.5f - 0.5f * cosf(turn / (float)frame * ((float)i + 0.5f));
                float b = 0.5f - 0.5f * cosf(turn / (float)frame * ((float)j + 0.5f));
                sum += quiet[i] * a * (quiet[j] * b);
            }
            correlation[t] = sum;
        }
        // Room for the filter to ring in.
        const int lead = 4 * ORDER;
        for (int i = t; i < span + lead; i += THREADS) scratch[i] = normal(wide(o.seed), i);
        SYNC();
        if (t == 0) {
            float w[ORDER] = {0}, error = correlation[0] * 1.0001f;
            for (int order = 0; order < ORDER && error > 0.0f; order++) {
                float known = 0;
                for (int i = 0; i < order; i++) known += w[i] * correlation[order - i];
                float reflection = fminf(fmaxf((correlation[order + 1] - known) / error, -0.999f), 0.999f);
                float previous[ORDER];
                for (int i = 0; i < ORDER; i++) previous[i] = w[i];
                for (int i = 0; i < order; i++) w[i] = previous[i] - reflection * previous[order - 1 - i];
                w[order] = reflection;
                error *= 1.0f - reflection * reflection;
            }
            float recent[ORDER] = {0};
            for (int i = 0; i < span + lead; i++) {
                // The oldest first: the newest is what each sample waits for.
                float sample = scratch[i];
#pragma unroll
                for (int k = ORDER - 1; k >= 0; k--) sample += recent[k] * w[k];
#pragma unroll
                for (int k = ORDER - 1; k > 0; k--) recent[k] = recent[k - 1];
                recent[0] = sample;
                scratch[i] = sample;
            }
        }
        SYNC();
        scratch += lead;
        gain = sqrtf(floor / block_power(scratch, span));
    }
    for (int i = t; i < samples; i += THREADS) {
        int at = i - start;
        float value = x[i];
        if (at >= 0 && at < span) {
            int from_end = at + 1 < span - at ? at + 1 : span - at;
            if (from_end > crossfade) from_end = crossfade;
            float progress = (float)from_end / (float)crossfade;
            float noise = floor > 0.0f ? scratch[at] * gain : 0.0f;
            value = value * sinf(0.25f * turn * (1.0f - progress)) + noise * sinf(0.25f * turn * progress);
        }
        y[i] = value;
    }
    SYNC();
    return true;
}

#define TAPS 16
#define PHASES 512

// Reads `stretched` (of `length`) `ratio` times as fast.
DEVICE void read_faster(const float* stretched, int length, float ratio, float* y, int samples, const float* kernels) {
    const u64 step = (u64)((double)ratio * 4294967296.0);
    for (int i = threadIdx.x; i < samples; i += THREADS) {
        u64 position = (u64)i * step;
        int whole = (int)(position >> 32);
        int phase = (int)((((u32)position >> 16) * PHASES + (1 << 15)) >> 16);
        const float* kernel = kernels + phase * TAPS;
        float sum = 0;
        for (int tap = 0; tap < TAPS; tap++) {
            int at = whole + tap - (TAPS / 2 - 1);
            if (at >= 0 && at < length) sum += stretched[at] * kernel[tap];
        }
        y[i] = sum;
    }
    SYNC();
}

// Runs an operator from `x` to `y`; returns whether it had something to work on.
DEVICE bool operate(const Operation& o, const float* x, float* y, float* scratch, const float* window,
                    const float* kernels, const Pair* turns, const ViewSizes& s) {
    const int t = threadIdx.x, n = s.samples;
    SYNC();
    switch (o.kind) {
        case PITCH_SHIFT:
            stretch(x, n, 1.0f / o.value, o.second, o.sizes[0], scratch, window, turns, s);
            read_faster(scratch, o.sizes[0], o.value, y, n, kernels);
            return true;
        case FADE:
            for (int i = t; i < n; i += THREADS) {
                float value = x[i];
                int back = n - 1 - i;
                if (i < o.sizes[1]) value *= ramp(o.sizes[0], i, o.sizes[1]);
                if (back < o.sizes[2]) value *= ramp(o.sizes[0], back, o.sizes[2]);
                y[i] = value;
            }
            SYNC();
            return true;
        case WHITE_NOISE:
            for (int i = t; i < n; i += THREADS) y[i] = normal(wide(o.seed), i);
            return mix(x, y, o.value, n);
        case COLOURED_NOISE:
            coloured(wide(o.seed), o.second, y, scratch, turns, s);
            return mix(x, y, o.value, n);
        case TIME_MASKING:
            return mask(o, x, y, scratch, n);
        case TIME_STRETCH: {
            const int made = o.sizes[0];
            stretch(x, n, o.value, 1.0f, made, scratch, window, turns, s);
            int crossfade = o.sizes[1] < made / 4 ? o.sizes[1] : made / 4, period = made - crossfade;
            for (int i = t; i < n; i += THREADS) {
                float value;
                if (made == n || i < period) {
                    value = scratch[i];
                } else if (i < made) {
                    float weight = (float)(i - period) / (float)crossfade;
                    value = scratch[i] + weight * (scratch[i % period] - scratch[i]);
                } else {
                    // Behind the first crossfade each turn begins with what the one before has at its place.
                    value = scratch[i % period];
                }
                y[i] = value;
            }
            SYNC();
            return true;
        }
        default:
            for (int i = t; i < n; i += THREADS) {
                int at = i + o.sizes[0];
                y[i] = x[at < n ? at : at - n];
            }
            SYNC();
            return o.sizes[0] != 0;
    }
}

// Poles and zeros over `x` in place, section after section: each thread takes a stretch of it from silence, then the
// stretches' last states are handed on, and what they add is added.
DEVICE void tilt(float* x, const View& v, int samples) {
    SHARED float ends[THREADS];
    const int t = threadIdx.x, each = (samples + THREADS - 1) / THREADS;
    const int from = t * each < samples ? t * each : samples;
    const int to = from + each < samples ? from + each : samples;
    for (int i = from; i < to; i++) x[i] *= v.gain;
    for (int section = 0; section < SECTIONS; section++) {
        const float zero = v.zeros[section], pole = v.poles[section];
        float state = 0;
        for (int i = from; i < to; i++) state = pole * (x[i] + state) - zero * x[i];
        ends[t] = state;
        SYNC();
        if (t == 0) {
            float power = 1, carried = 0;
            for (int i = 0; i < each; i++) power *= pole;
            for (int u = 0; u < THREADS; u++) {
                float mine = ends[u];
                ends[u] = carried;
                carried = mine + power * carried;
            }
        }
        SYNC();
        state = ends[t];
        for (int i = from; i < to; i++) {
            float in = x[i], out = in + state;
            state = pole * out - zero * in;
            x[i] = out;
        }
        SYNC();
    }
}

DEVICE void cut(const short* store, const Sound& sound, float* to, int samples) {
    const short* values = store + wide(sound.from);
    for (int i = threadIdx.x; i < samples; i += THREADS) {
        int at = (sound.first + i) % sound.length;
        to[i] = (float)values[at] * sound.step;
    }
}

#ifdef EMULATED
#define MANY_BLOCKS KERNEL
#else
// Views are made in long chains of short steps: what hides their waiting is other blocks.
#define MANY_BLOCKS extern "C" __global__ void __launch_bounds__(THREADS, 4)
#endif

// A block makes a view: its sound into `sounds` [views][2][padded] (the first of the two at the end), the operators
// that changed it into `labels` and `parameters`, [views][OPERATORS], and its SNR into `snr`, [views].
MANY_BLOCKS make_views(const View* views, const short* store, const float* window, const float* kernels,
                  const Pair* turns, float* sounds, float* scratch, float* labels, float* parameters, float* snr,
                  const ViewSizes* sizes) {
    const ViewSizes s = *sizes;
    const int t = threadIdx.x, n = s.samples;
    const View& v = views[blockIdx.x];
    float* x = sounds + (size_t)blockIdx.x * 2 * s.padded;
    float* first = x;
    float* y = x + s.padded;
    scratch += (size_t)blockIdx.x * s.scratch;
    cut(store, v.sound, x, n);
    if (t < OPERATORS) {
        labels[blockIdx.x * OPERATORS + t] = 0;
        parameters[blockIdx.x * OPERATORS + t] = 0;
    }
    SYNC();
    for (int number = 0; number < OPERATORS; number++) {
        const Operation& o = v.operations[number];
        if (o.kind < 0) break;
        if (!operate(o, x, y, scratch, window, kernels, turns, s)) continue;
        float energy = 0, change = 0;
        for (int i = t; i < n; i += THREADS) {
            energy += x[i] * x[i];
            change += (x[i] - y[i]) * (x[i] - y[i]);
        }
        energy = block_sum(energy);
        change = block_sum(change);
        if (!(change > 1e-5f * energy)) continue;
        float* swapped = x;
        x = y;
        y = swapped;
        if (t == 0) {
            labels[blockIdx.x * OPERATORS + o.kind] = 1;
            parameters[blockIdx.x * OPERATORS + o.kind] = o.told;
        }
    }
    limit(x, n);
    bool mixed = false;
    if (v.background != NO_BACKGROUND) {
        if (v.background == SOUND_BEHIND)
            cut(store, v.behind, y, n);
        else
            coloured(wide(v.seed), v.decay, y, scratch, turns, s);
        mixed = mix(x, y, v.snr, n);
        if (mixed) {
            float* swapped = x;
            x = y;
            y = swapped;
        }
    }
    if (t == 0) snr[blockIdx.x] = mixed ? v.snr_db : __uint_as_float(0x7f800000);
    if (v.tilted) tilt(x, v, n);
    if (v.level > 0.0f) {
        float reference = v.of_peak ? block_peak(x, n) : 1.0f;
        if (reference > 0.0f) {
            float gain = fminf(v.level / reference, 1000.0f);
            for (int i = t; i < n; i += THREADS) x[i] *= gain;
        }
        SYNC();
    }
    limit(x, n);
    if (x != first)
        for (int i = t; i < n; i += THREADS) first[i] = x[i];
}

// --- Features -----------------------------------------------------------------------------------

#define MOST_WINDOW 1024
#define MOST_MELS 256

// Parameters of the features: `FeatureSizes` in views.rs. An interval between two edges of bands has its first bin, and
// the share of that bin and its growth from bin to bin in `edges`, [mels + 2] and [mels + 1][2].
struct FeatureSizes {
    int window, hop, mels, frames, padded, turns;
    float floor, mean, scale;
};

// Two frames at a time by one transform, blocks of a column sharing a view's frames: `patches` is [views][frames][mels].
KERNEL log_mel(const float* sounds, float* patches, const float* window, const Pair* turns, const int* first_bins,
               const float* slopes, const FeatureSizes* sizes) {
    SHARED Pair work[2][MOST_WINDOW];
    SHARED float power[2][MOST_WINDOW / 2];
    const FeatureSizes s = *sizes;
    const int t = threadIdx.x, size = s.window;
    const float* x = sounds + (size_t)blockIdx.x * 2 * s.padded;
    for (int frame = 2 * blockIdx.y; frame < s.frames; frame += 2 * gridDim.y) {
        const bool both = frame + 1 < s.frames;
        for (int i = t; i < size; i += THREADS) {
            float weight = window[i];
            work[0][i].re = x[frame * s.hop + i] * weight;
            work[0][i].im = both ? x[(frame + 1) * s.hop + i] * weight : 0.0f;
        }
        const Pair* made = transform(work[0], work[1], size, turns, s.turns, true);
        for (int k = 1 + t; k < size / 2; k += THREADS) {
            Pair z = made[k], mirrored = conjugate(made[size - k]);
            Pair even = z + mirrored, odd = z - mirrored;
            power[0][k] = 0.25f * (even.re * even.re + even.im * even.im);
            power[1][k] = 0.25f * (odd.re * odd.re + odd.im * odd.im);
        }
        SYNC();
        for (int i = t; i < (both ? 2 : 1) * s.mels; i += THREADS) {
            int which = i / s.mels, band = i % s.mels;
            float sum = 0, r = slopes[2 * band], growth = slopes[2 * band + 1];
            for (int k = first_bins[band], j = 0; k < first_bins[band + 1]; k++, j++)
                sum += (r + growth * (float)j) * power[which][k];
            r = slopes[2 * band + 2], growth = slopes[2 * band + 3];
            for (int k = first_bins[band + 1], j = 0; k < first_bins[band + 2]; k++, j++)
                sum += (1.0f - (r + growth * (float)j)) * power[which][k];
            patches[((size_t)blockIdx.x * s.frames + frame + which) * s.mels + band] =
                (logf(sum + s.floor) - s.mean) * s.scale;
        }
        SYNC();
    }
}

// Rows of a lesson: what a teacher said of each view's window, [windows][dim], into `rows`, [views][dim]; zeros that do
// not count where it has heard none.
KERNEL lesson_rows(const View* views, const float* told, float* rows, float* counted, int count, int dim) {
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < count * dim; i += gridDim.x * THREADS) {
        int view = i / dim, window = views[view].window;
        rows[i] = window < 0 ? 0.0f : told[(size_t)window * dim + i % dim];
        if (i % dim == 0) counted[view] = window < 0 ? 0.0f : 1.0f;
    }
}
