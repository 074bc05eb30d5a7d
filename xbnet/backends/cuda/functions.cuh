// The functions of `activations.py`, which gives their sources; `kind` is a `Function`. That and the constants are
// printed from `constants.py`.
// Comparisons are written such that NaN stays NaN: a network that diverges is found by it.
template <typename T> DEVICE T sigmoid(T z) { return T(1) / (T(1) + exp(-z)); }

template <typename T> DEVICE T gelu_tanh(T z) { return tanh(z * (T(GELU_C) + T(GELU_C * GELU_A) * z * z)); }

template <typename T> DEVICE T activate(int kind, T z) {
    switch (kind) {
        case RELU: return z < 0 ? T(0) : z;
        case LEAKY_RELU: return z < 0 ? T(LEAK) * z : z;
        case ELU: return z < 0 ? expm1(z) : z;
        case GELU: return z * (T(0.5) * (gelu_tanh(z) + T(1)));
        case SILU: return z * sigmoid(z);
        case SIGMOID: return sigmoid(z);
        case TANH: return tanh(z);
        case SELU: return T(SELU_SCALE) * (z < 0 ? T(SELU_ALPHA) * expm1(z) : z);
        case MISH: {
            const T s = sigmoid(z), c = T(1) - s;
            return z * (s / (T(1) + c * c) * (T(1) + c));
        }
        case SOFTPLUS: return larger(z, T(0)) + log1p(exp(-fabs(z)));
        default: return z;
    }
}
