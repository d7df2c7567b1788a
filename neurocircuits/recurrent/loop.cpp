// The time loop of a layer of cells with a memory, LSTM and subLSTM, forward and backward; see kernel.py.
//
// Rows of all time steps stand below one another; sizes[t] of them belong to step t, not increasing. Arrays are
// row-major: gates (rows, G*H) in the order i, f, z, o, or i, z, o with a constant leak; all others (rows, H).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64, BLOCK = 8;
#elif defined(__AVX__)
constexpr int BYTES = 32, BLOCK = 4;
#else
constexpr int BYTES = 16, BLOCK = 4;
#endif
constexpr int WIDTH = 3;  // vectors of a panel: BLOCK * WIDTH sums, WIDTH weights and one value of x fill the registers

// -- products: y += x @ b, with b in panels of WIDTH vectors ----------------------------------------------------------

template <typename T>
struct Matrix {
    typedef T Vector __attribute__((vector_size(BYTES), aligned(sizeof(T))));
    static constexpr int LANES = BYTES / sizeof(T), PANEL = WIDTH * LANES;
    int n_in, n_out;
    std::vector<T> panels;  // (panel, n_in, PANEL), zeros beyond n_out

    // b[k][j] = weight[k * by_in + j * by_out]
    Matrix(const T* weight, int n_in, int n_out, int64_t by_in, int64_t by_out)
        : n_in(n_in), n_out(n_out), panels(size_t((n_out + PANEL - 1) / PANEL) * n_in * PANEL) {
        constexpr int TILE = 16;  // tiles, since one of the two strides is long
        for (int j = 0; j < n_out; j += TILE)
            for (int k = 0; k < n_in; ++k)
                for (int i = j; i < std::min(j + TILE, n_out); ++i)
                    panels[(size_t(i / PANEL) * n_in + k) * PANEL + i % PANEL] = weight[k * by_in + i * by_out];
    }

    template <int ROWS, int VECTORS>
    void tile(const T* x, T* y, const T* b, int64_t x_row, int64_t y_row) const {
        Vector sum[ROWS][VECTORS];
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v) sum[r][v] = *(const Vector*)(y + r * y_row + v * LANES);
        for (int k = 0; k < n_in; ++k, b += PANEL) {
            Vector weights[VECTORS];
            for (int v = 0; v < VECTORS; ++v) weights[v] = *(const Vector*)(b + v * LANES);
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < VECTORS; ++v) sum[r][v] += x[r * x_row + k] * weights[v];
        }
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v) *(Vector*)(y + r * y_row + v * LANES) = sum[r][v];
    }

    template <int ROWS>
    void strip(const T* x, T* y, const T* b, int vectors, int64_t x_row, int64_t y_row) const {
        if (vectors == 3) tile<ROWS, 3>(x, y, b, x_row, y_row);
        if (vectors == 2) tile<ROWS, 2>(x, y, b, x_row, y_row);
        if (vectors == 1) tile<ROWS, 1>(x, y, b, x_row, y_row);
    }

    template <int ROWS>
    int64_t strips(const T* x, T* y, const T* b, int vectors, int64_t row, int64_t rows, int64_t y_row) const {
        for (; row + ROWS <= rows; row += ROWS)
            strip<ROWS>(x + row * n_in, y + row * y_row, b, vectors, n_in, y_row);
        if constexpr (ROWS > 1)
            return strips<ROWS / 2>(x, y, b, vectors, row, rows, y_row);
        else
            return row;
    }

    void add_product(const T* x, T* y, int64_t rows) const {
        std::vector<T> edge;
        for (int first = 0; first < n_out; first += PANEL) {
            const T* b = panels.data() + size_t(first) * n_in;
            const int left = std::min(n_out - first, PANEL), vectors = (left + LANES - 1) / LANES;
            if (left % LANES == 0) {
                strips<BLOCK>(x, y + first, b, vectors, 0, rows, n_out);
                continue;
            }
            edge.resize(size_t(rows) * PANEL);  // whole vectors would reach into the next row
            for (int64_t r = 0; r < rows; ++r) std::copy_n(y + r * n_out + first, left, edge.data() + r * PANEL);
            strips<BLOCK>(x, edge.data(), b, vectors, 0, rows, PANEL);
            for (int64_t r = 0; r < rows; ++r) std::copy_n(edge.data() + r * PANEL, left, y + r * n_out + first);
        }
    }
};

// -- functions that compilers turn into vectors; not a number stays not a number --------------------------------------

template <typename T> struct Bits;
template <> struct Bits<float> {
    using Integer = int32_t;
    static constexpr float LARGEST = 87.0f, MAGIC = 12582912.0f;  // 1.5 * 2^23: integers stand in the last bits
    static constexpr int MANTISSA = 23, BIAS = 127, TERMS = 7;
    static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
};
template <> struct Bits<double> {
    using Integer = int64_t;
    static constexpr double LARGEST = 708.0, MAGIC = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int MANTISSA = 52, BIAS = 1023, TERMS = 13;
    static constexpr double LN2_HIGH = 6.93145751953125e-1, LN2_LOW = 1.42860682030941723212e-6;
};

// exp(x) = 2^n exp(r), |r| <= ln(2)/2, with Taylor's series for exp(r)
template <typename T>
inline T exponential(T x) {
    using B = Bits<T>;
    x = x > B::LARGEST ? B::LARGEST : x;
    x = x < -B::LARGEST ? -B::LARGEST : x;
    const T shifted = x * T(1.44269504088896340736) + B::MAGIC, n = shifted - B::MAGIC;
    const T r = (x - n * B::LN2_HIGH) - n * B::LN2_LOW;
    T sum = T(1);
    for (int k = B::TERMS; k > 0; --k) sum = T(1) + sum * r * (T(1) / T(k));
    typename B::Integer bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + B::BIAS) << B::MANTISSA;
    T power;
    std::memcpy(&power, &bits, sizeof power);
    return sum * power;
}

template <typename T> inline T sigmoid(T x) { return T(1) / (T(1) + exponential(-x)); }
template <typename T> inline T tanh_of(T x) { return T(2) * sigmoid(T(2) * x) - T(1); }

// -- one row of one step ----------------------------------------------------------------------------------------------

template <typename T, bool SUBTRACTS, bool LEAKS, bool MASKED>
void forward_row(int n, T* __restrict gates, const T* __restrict leak, const T* __restrict mask,
                 const T* __restrict c_before, T* __restrict c, T* __restrict y, T* __restrict h) {
    T *i = gates, *f = gates + n, *z = gates + (LEAKS ? n : 2 * n), *o = z + n;
#pragma GCC ivdep
    for (int k = 0; k < n; ++k) {
        const T i_k = sigmoid(i[k]), o_k = sigmoid(o[k]), z_k = SUBTRACTS ? sigmoid(z[k]) : tanh_of(z[k]);
        const T f_k = LEAKS ? leak[k] : sigmoid(f[k]);
        const T update = (SUBTRACTS ? z_k - i_k : z_k * i_k) * (MASKED ? mask[k] : T(1));
        const T c_k = c_before[k] * f_k + update;
        const T y_k = SUBTRACTS ? sigmoid(c_k) : tanh_of(c_k);
        i[k] = i_k, z[k] = z_k, o[k] = o_k, c[k] = c_k, y[k] = y_k;
        if (!LEAKS) f[k] = f_k;
        h[k] = SUBTRACTS ? y_k - o_k : y_k * o_k;
    }
}

// dh and dc: in, the gradients by h and c after the step; out (dc), that by c before it. slopes: those by the gates'
// arguments.
template <typename T, bool SUBTRACTS, bool LEAKS, bool MASKED>
void backward_row(int n, const T* __restrict gates, const T* __restrict leak, const T* __restrict mask,
                  const T* __restrict c_before, const T* __restrict y, const T* __restrict dh_above,
                  const T* __restrict dh_after, T* __restrict dc, T* __restrict slopes, T* __restrict d_leak) {
    const T *i = gates, *f = gates + n, *z = gates + (LEAKS ? n : 2 * n), *o = z + n;
    T *d_i = slopes, *d_f = slopes + n, *d_z = slopes + (LEAKS ? n : 2 * n), *d_o = d_z + n;
#pragma GCC ivdep
    for (int k = 0; k < n; ++k) {
        const T i_k = i[k], z_k = z[k], o_k = o[k], y_k = y[k], f_k = LEAKS ? leak[k] : f[k];
        const T dh = dh_above[k] + dh_after[k];
        const T by_c = SUBTRACTS ? y_k * (1 - y_k) : o_k * (1 - y_k * y_k);
        const T d = dc[k] + dh * by_c, update = d * (MASKED ? mask[k] : T(1));
        d_i[k] = update * (SUBTRACTS ? T(-1) : z_k) * i_k * (1 - i_k);
        d_z[k] = update * (SUBTRACTS ? z_k * (1 - z_k) : i_k * (1 - z_k * z_k));
        d_o[k] = (SUBTRACTS ? -dh : dh * y_k) * o_k * (1 - o_k);
        if (LEAKS)
            d_leak[k] += d * c_before[k];
        else
            d_f[k] = d * c_before[k] * f_k * (1 - f_k);
        dc[k] = d * f_k;
    }
}

// -- all steps --------------------------------------------------------------------------------------------------------

template <typename T, bool SUBTRACTS, bool LEAKS, bool MASKED>
void forward(int64_t steps, const int64_t* sizes, int n, const T* weight, const T* leak, const T* mask, const T* h_0,
             const T* c_0, T* gates, T* c, T* y, T* h, T* h_n, T* c_n) {
    const int g = (LEAKS ? 3 : 4) * n;
    const Matrix<T> recurrent(weight, n, g, 1, n);
    const T *h_before = h_0, *c_before = c_0;
    for (int64_t t = 0, first = 0; t < steps; ++t) {
        const int64_t rows = sizes[t], staying = t + 1 < steps ? sizes[t + 1] : 0;
        T *gates_t = gates + first * g, *c_t = c + first * n, *h_t = h + first * n;
        recurrent.add_product(h_before, gates_t, rows);
        for (int64_t r = 0; r < rows; ++r)
            forward_row<T, SUBTRACTS, LEAKS, MASKED>(n, gates_t + r * g, leak, mask + (first + r) * n * MASKED,
                                                     c_before + r * n, c_t + r * n, y + (first + r) * n, h_t + r * n);
        std::copy(h_t + staying * n, h_t + rows * n, h_n + staying * n);
        std::copy(c_t + staying * n, c_t + rows * n, c_n + staying * n);
        h_before = h_t, c_before = c_t, first += rows;
    }
}

// dh, dc: in, the gradients by the last h and c of each sequence; out, by the first.
template <typename T, bool SUBTRACTS, bool LEAKS, bool MASKED>
void backward(int64_t steps, const int64_t* sizes, int n, const T* weight, const T* leak, const T* mask, const T* c_0,
              const T* gates, const T* c, const T* y, const T* dh_above, T* dh, T* dc, T* slopes, double* d_leak) {
    const int g = (LEAKS ? 3 : 4) * n;
    const Matrix<T> recurrent(weight, g, n, n, 1);
    std::vector<T> of_step(n);
    int64_t first = 0;
    for (int64_t t = 0; t < steps; ++t) first += sizes[t];
    for (int64_t t = steps - 1; t >= 0; --t) {
        const int64_t rows = sizes[t];
        first -= rows;
        const T* c_before = t ? c + (first - sizes[t - 1]) * n : c_0;
        std::fill(of_step.begin(), of_step.end(), T(0));
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t row = first + r;
            backward_row<T, SUBTRACTS, LEAKS, MASKED>(n, gates + row * g, leak, mask + row * n * MASKED,
                                                      c_before + r * n, y + row * n, dh_above + row * n, dh + r * n,
                                                      dc + r * n, slopes + row * g, of_step.data());
        }
        if (LEAKS)
            for (int k = 0; k < n; ++k) d_leak[k] += of_step[k];
        std::fill(dh, dh + rows * n, T(0));
        recurrent.add_product(slopes + first * g, dh, rows);
    }
}

}  // namespace

// kind: 1 gates subtract, 2 constant leak, 4 masked
#define FOR_KIND(T, FUNCTION, ...)                                   \
    switch (kind) {                                                  \
        case 0: return FUNCTION<T, false, false, false>(__VA_ARGS__); \
        case 1: return FUNCTION<T, true, false, false>(__VA_ARGS__);  \
        case 2: return FUNCTION<T, false, true, false>(__VA_ARGS__);  \
        case 3: return FUNCTION<T, true, true, false>(__VA_ARGS__);   \
        case 4: return FUNCTION<T, false, false, true>(__VA_ARGS__);  \
        case 5: return FUNCTION<T, true, false, true>(__VA_ARGS__);   \
        case 6: return FUNCTION<T, false, true, true>(__VA_ARGS__);   \
        case 7: return FUNCTION<T, true, true, true>(__VA_ARGS__);    \
    }

#define EXPORTED(T)                                                                                                   \
    void forward_##T(int kind, int64_t steps, const int64_t* sizes, int n, const T* weight, const T* leak,            \
                     const T* mask, const T* h_0, const T* c_0, T* gates, T* c, T* y, T* h, T* h_n, T* c_n) {         \
        FOR_KIND(T, forward, steps, sizes, n, weight, leak, mask, h_0, c_0, gates, c, y, h, h_n, c_n)                 \
    }                                                                                                                 \
    void backward_##T(int kind, int64_t steps, const int64_t* sizes, int n, const T* weight, const T* leak,           \
                      const T* mask, const T* c_0, const T* gates, const T* c, const T* y, const T* dh_above, T* dh,  \
                      T* dc, T* slopes, double* d_leak) {                                                             \
        FOR_KIND(T, backward, steps, sizes, n, weight, leak, mask, c_0, gates, c, y, dh_above, dh, dc, slopes, d_leak) \
    }

extern "C" {
EXPORTED(float)
EXPORTED(double)
}
