// The products of a layer's forward and backward in tiles of 4 x 4, for `train.cuh`.

// -- four numbers at a time --------------------------------------------------------------------------------------------

template <typename T> struct alignas(16) Four { T at[4]; };
template <typename T> DEVICE Four<T> read4(const T* p) { return *reinterpret_cast<const Four<T>*>(p); }
template <typename T> DEVICE void write4(T* p, Four<T> v) { *reinterpret_cast<Four<T>*>(p) = v; }
#define EACH(i) UNROLL for (int i = 0; i < 4; ++i)

// s'(z), told by the output y = s(z): of all functions but GELU, SILU and MISH.
template <typename T> DEVICE T derivative_at(int kind, T y) {
    switch (kind) {
        case RELU: return y > 0 ? T(1) : T(0);
        case LEAKY_RELU: return y > 0 ? T(1) : T(LEAK);
        case ELU: return y < 0 ? y + T(1) : T(1);
        case SIGMOID: return y * (T(1) - y);
        case TANH: return T(1) - y * y;
        case SOFTPLUS: return -expm1(-y);
        case SELU: return y > 0 ? T(SELU_SCALE) : y + T(SELU_SCALE * SELU_ALPHA);
        default: return T(1);
    }
}

// -- products ----------------------------------------------------------------------------------------------------------

// y = s(x W + b) of layer l.
template <typename T, class S> DEVICE void forward(int thread, S shape, int l, const T* x, const T* w, T* y) {
    const int tiles = shape.batch() / 4, row = shape.samples(), units = shape.units(l), O = shape.width(l + 1);
    const T* bias = w + shape.bias(l);
    for (int tile = thread; tile < tiles * (padded(O) / 4); tile += threads()) {
        const int b = tile % tiles * 4, o = tile / tiles * 4;
        Four<T> sum[4];
        EACH(j) EACH(i) sum[j].at[i] = bias[o + j];
        UNROLL_BY_4 for (int k = 0; k < shape.width(l); ++k) {
            const Four<T> a = read4(x + k * row + b), v = read4(w + k * units + o);
            EACH(j) EACH(i) sum[j].at[i] += v.at[j] * a.at[i];
        }
        EACH(j) {
            EACH(i) sum[j].at[i] = o + j < O ? activate(shape.activation(l), sum[j].at[i]) : T(0);
            write4(y + (o + j) * row + b, sum[j]);
        }
    }
}

// A tile of dx = dz W^T, times the derivative of the activation that has made x.
template <typename T, class S>
DEVICE void input_tile(int tile, S shape, int l, const T* dz, const T* w, const T* x, T* dx) {
    const int tiles = shape.batch() / 4, row = shape.samples(), units = shape.units(l);
    const int b = tile % tiles * 4, k = tile / tiles * 4;
    Four<T> sum[4] = {};
    UNROLL_BY_2 for (int o = 0; o < padded(shape.width(l + 1)); o += 4) {
        Four<T> d[4];
        EACH(j) d[j] = read4(dz + (o + j) * row + b);
        EACH(q) {
            const Four<T> v = read4(w + (k + q) * units + o);
            EACH(j) EACH(i) sum[q].at[i] += v.at[j] * d[j].at[i];
        }
    }
    EACH(q) {
        const Four<T> y = read4(x + (k + q) * row + b);
        EACH(i) sum[q].at[i] *= derivative_at(shape.activation(l - 1), y.at[i]);
        write4(dx + (k + q) * row + b, sum[q]);
    }
}

// A tile of dW = x^T dz with the penalty's gradient; returns the sum of its squares.
template <typename T, class S>
DEVICE T weight_tile(int tile, S shape, int l, const T* x, const T* dz, const T* w, T* dw, T twice_l2, T l1) {
    const int tiles = padded(shape.width(l + 1)) / 4, row = shape.samples(), units = shape.units(l);
    const int o = tile % tiles * 4, k = tile / tiles * 4;
    Four<T> sum[4] = {};
    UNROLL_BY_2 for (int b = 0; b < shape.batch(); b += 4) {
        Four<T> a[4], d[4];
        EACH(q) a[q] = read4(x + (k + q) * row + b);
        EACH(j) d[j] = read4(dz + (o + j) * row + b);
        EACH(q) EACH(j) EACH(i) sum[q].at[j] += a[q].at[i] * d[j].at[i];
    }
    T squares = 0;
    EACH(q) {
        const Four<T> v = read4(w + (k + q) * units + o);
        EACH(j) {
            sum[q].at[j] += twice_l2 * v.at[j] + l1 * T((v.at[j] > 0) - (v.at[j] < 0));
            squares += sum[q].at[j] * sum[q].at[j];
        }
        write4(dw + (k + q) * units + o, sum[q]);
    }
    return squares;
}

// All that layer l does backward: dx (not of the first layer), dW and db; returns the sum of this thread's squares.
template <typename T, class S>
DEVICE T backward(int thread, S shape, int l, const T* x, const T* dz, const T* w, T* dw, T* dx, T twice_l2, T l1) {
    const int inputs = padded(shape.width(l)) / 4, outputs = padded(shape.width(l + 1)) / 4;
    const int first = l ? shape.batch() / 4 * inputs : 0, second = first + inputs * outputs;
    T squares = 0;
    for (int task = thread; task < second + shape.width(l + 1); task += threads()) {
        if (task < first) {
            input_tile(task, shape, l, dz, w, x, dx);
        } else if (task < second) {
            squares += weight_tile(task - first, shape, l, x, dz, w, dw, twice_l2, l1);
        } else {
            const T* d = dz + (task - second) * shape.samples();
            Four<T> sum = {};
            for (int b = 0; b < shape.batch(); b += 4) {
                const Four<T> four = read4(d + b);
                EACH(i) sum.at[i] += four.at[i];
            }
            const T db = (sum.at[0] + sum.at[1]) + (sum.at[2] + sum.at[3]);
            dw[shape.bias(l) + task - second] = db;
            squares += db * db;
        }
    }
    return squares;
}
