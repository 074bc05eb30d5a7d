// What a fully connected layer does beside its products: y = s(z + bias), and back dz = dy s'(z), dbias = sum of dz.
//
// `Index` counts elements.
#include "functions.cuh"

// s'(z), given y = s(z) too.
template <typename T> DEVICE T derivative(int kind, T z, T y) {
    switch (kind) {
        case RELU: return y > 0 ? T(1) : T(0);
        case LEAKY_RELU: return z > 0 ? T(1) : T(LEAK);
        case ELU: return y < 0 ? y + T(1) : T(1);
        case GELU: {
            const T near = larger(z < T(GELU_FAR) ? z : T(GELU_FAR), -T(GELU_FAR));  // farther out 1 - t or 1 + t is 0
            const T t = gelu_tanh(z), inner = near * (T(GELU_C) + T(3 * GELU_C * GELU_A) * near * near);
            return T(0.5) * (T(1) + t) * (T(1) + inner * (T(1) - t));
        }
        case SILU: {
            const T s = sigmoid(z);
            return s + y * (T(1) - s);
        }
        case SIGMOID: return y * (T(1) - y);
        case TANH: return T(1) - y * y;
        case SELU: return y > 0 ? T(SELU_SCALE) : y + T(SELU_SCALE * SELU_ALPHA);
        case MISH: {
            const T s = sigmoid(z), c = T(1) - s, q = T(1) + c * c;
            return s / q * (T(1) + c) + s / q * (c / q * c) * z * T(4);  // in this order: z may be huge where s is 0
        }
        case SOFTPLUS: return sigmoid(z);
        default: return T(1);
    }
}

// z (R, B, O) += bias, y = s(z) (null: not wanted). The bias of replica r begins at r * bias_stride: it lies in rows of theta.
template <typename T, typename Index>
KERNEL(256)
void bias_activation(int kind, T* z, const T* bias, long long bias_stride, T* y, int replicas, int batch, int outputs) {
    phase([&](int thread) {
        const Index count = Index(replicas) * batch * outputs, stride = blocks_x() * threads();
        for (Index e = block_x() * threads() + thread; e < count; e += stride) {
            const Index o = e % outputs, r = e / outputs / batch;
            const T sum = z[e] + bias[r * bias_stride + o];
            z[e] = sum;
            if (y) y[e] = activate(kind, sum);
        }
    });
}

// dy (R, B, O) *= s'(z).
template <typename T, typename Index>
KERNEL(256)
void activation_derivative(int kind, T* dy, const T* z, const T* y, Index count) {
    phase([&](int thread) {
        const Index stride = blocks_x() * threads();
        for (Index e = block_x() * threads() + thread; e < count; e += stride) dy[e] *= derivative(kind, z[e], y[e]);
    });
}

// The same, and dbias (R, 1, O), the sum over the batch. A block has 32 columns of one replica: neighbours in a row of
// memory are read by neighbours among the threads. Groups of 32 threads share the rows among them, and then add up.
constexpr int COLUMNS = 32;

template <typename T, typename Index>
KERNEL(256)
void activation_gradient(int kind, T* dy, const T* z, const T* y, T* dbias, long long bias_stride, int batch,
                         int outputs) {
    const int tiles = (outputs + COLUMNS - 1) / COLUMNS, groups = threads() / COLUMNS;
    const int r = block_x() / tiles, first = block_x() % tiles * COLUMNS;
    T* sums = shared_memory<T>();
    phase([&](int thread) {
        const int column = first + thread % COLUMNS;
        T sum = 0;
        for (int b = thread / COLUMNS; b < batch && column < outputs; b += groups) {
            const Index e = (Index(r) * batch + b) * outputs + column;
            T d = dy[e];
            if (kind != IDENTITY) dy[e] = d = d * derivative(kind, z[e], y[e]);
            sum += d;
        }
        sums[thread] = sum;
    });
    phase([&](int thread) {
        const int column = first + thread;
        if (thread >= COLUMNS || column >= outputs) return;
        T sum = 0;
        for (int g = 0; g < groups; ++g) sum += sums[g * COLUMNS + thread];
        dbias[r * bias_stride + column] = sum;
    });
}
