// Stands in for libcublas in tests: the same symbols and signatures, on memory of the host, with cuBLAS' own checks.
#include <cstdint>
#include <cstring>

extern "C" {
// What the tests look at: how often each function was called, and the integers of the last product.
int64_t calls[5];
int64_t last[16];
int next_status = 0;  // what the next product answers, once

struct Context {
    void* stream;
    bool has_workspace;
};

int cublasCreate_v2(void** handle) {
    ++calls[0];
    *handle = new Context{nullptr, false};
    return 0;
}

int cublasDestroy_v2(void* handle) {
    ++calls[1];
    delete static_cast<Context*>(handle);
    return 0;
}

int cublasSetStream_v2(void* handle, void* stream) {
    ++calls[2];
    *static_cast<Context*>(handle) = Context{stream, false};  // as cuBLAS does, back to its own workspace
    return 0;
}

int cublasSetWorkspace_v2(void* handle, void* memory, size_t size) {
    ++calls[3];
    memset(memory, 1, size);  // there must be so much
    static_cast<Context*>(handle)->has_workspace = true;
    return 0;
}
}

template <class T>
void multiply(int ta, int tb, int m, int n, int k, T alpha, const T* a, int lda, long long sa, const T* b, int ldb,
              long long sb, T beta, T* c, int ldc, long long sc, int batch) {
    for (int r = 0; r < batch; ++r)
        for (int j = 0; j < n; ++j)
            for (int i = 0; i < m; ++i) {
                T sum = 0;
                for (int l = 0; l < k; ++l)
                    sum += a[r * sa + (ta ? l + (int64_t)i * lda : i + (int64_t)l * lda)] *
                           b[r * sb + (tb ? j + (int64_t)l * ldb : l + (int64_t)j * ldb)];
                T& out = c[r * sc + i + (int64_t)j * ldc];
                out = beta == 0 ? alpha * sum : alpha * sum + beta * out;  // with beta = 0 the NaN in `out` is not read
            }
}

extern "C" int cublasGemmStridedBatchedEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha,
                                          const void* a, int a_type, int lda, long long sa, const void* b, int b_type,
                                          int ldb, long long sb, const void* beta, void* c, int c_type, int ldc,
                                          long long sc, int batch, int compute, int algorithm) {
    ++calls[4];
    const Context* context = static_cast<Context*>(handle);
    const int64_t seen[16] = {ta, tb, m, n, k, lda, sa, ldb, sb, ldc, sc, batch, a_type, compute, algorithm,
                              (int64_t)context->stream};
    memcpy(last, seen, sizeof seen);
    if (const int status = next_status) return next_status = 0, status;
    if (!context->has_workspace) return 1;
    const int rows_a = ta ? k : m, rows_b = tb ? n : k;
    if (ta < 0 || ta > 1 || tb < 0 || tb > 1 || m < 0 || n < 0 || k < 0 || batch < 0) return 7;
    if (lda < 1 || lda < rows_a || ldb < 1 || ldb < rows_b || ldc < 1 || ldc < m) return 7;
    if (a_type != b_type || a_type != c_type || algorithm != -1) return 15;
    if (a_type == 0 && (compute == 68 || compute == 77))
        multiply<float>(ta, tb, m, n, k, *(const float*)alpha, (const float*)a, lda, sa, (const float*)b, ldb, sb,
                        *(const float*)beta, (float*)c, ldc, sc, batch);
    else if (a_type == 1 && compute == 70)
        multiply<double>(ta, tb, m, n, k, *(const double*)alpha, (const double*)a, lda, sa, (const double*)b, ldb, sb,
                         *(const double*)beta, (double*)c, ldc, sc, batch);
    else
        return 15;
    return 0;
}
