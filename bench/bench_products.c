/* One thread's matrix products at the shapes of a training step: OpenBLAS against our own tiles,
 * BLIS, MKL and oneDNN, float and bf16, in turn; medians of ratios (docs/decisions/0020).
 *
 *   bench_products [ROUNDS]
 *
 * BLIS is measured where it is installed (apt install libblis4-serial), MKL where the environment
 * variable MKL names a library that has its sgemm_: libmkl_rt.so, or libtorch_cpu.so of PyTorch.
 * Nothing is linked to either. OpenBLAS takes the kernels that OPENBLAS_CORETYPE names:
 * ropewalk --version says which ones the program takes. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/gemm.h"
#include "kernels/panel_product.h"
#include "kernels/rounded_product.h"
#include "kernels/tile_product.h"
#include "measure/rounds.h"

/* y = x W^T, dx = dy W, dW += dy^T x, and the products inside a chunk. */
static const struct {
    const char *name;
    bool transa, transb, add;
    int m, n, k;
} shapes[] = {
    {"y", false, true, false, 64, 256, 256},     {"y", false, true, false, 128, 256, 256},
    {"y", false, true, false, 256, 256, 256},    {"y", false, true, false, 256, 1024, 512},
    {"y", false, true, false, 256, 512, 1024},   {"y", false, true, false, 256, 2048, 2048},
    {"dx", false, false, false, 64, 256, 256},   {"dx", false, false, false, 256, 256, 256},
    {"dx", false, false, false, 256, 512, 1024}, {"dx", false, false, false, 256, 2048, 2048},
    {"dW", true, false, true, 256, 256, 64},     {"dW", true, false, true, 256, 256, 256},
    {"dW", true, false, true, 1024, 512, 256},   {"dW", true, false, true, 2048, 2048, 256},
    {"scores", false, true, false, 64, 64, 64},  {"values", false, false, false, 64, 32, 64},
    {"state", true, false, true, 64, 64, 64},    {"scores", false, true, false, 256, 256, 64},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, OPERAND = 2048 * 2048 };
/* Operations of a timing: a few milliseconds. */
#define WORK 3e8

static float *a, *b, *c, *packed;
static rw_bf16 *narrow_a, *narrow_b;

/* ---- Other libraries, by the name that all of them have for it ------------------- */

typedef void sgemm(const char *, const char *, const int *, const int *, const int *, const float *,
                   const float *, const int *, const float *, const int *, const float *, float *,
                   const int *);
static sgemm *blis, *mkl; /* NULL: not there */

/* Names are those of OpenBLAS: both stay apart. */
static sgemm *open_library(const char *file)
{
    sgemm *out = NULL;
    void *library = file && *file ? dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) : NULL;
    void *found = library ? dlsym(library, "sgemm_") : NULL;
    if (file && strchr(file, '/') && !found)
        fprintf(stderr, "bench_products: no sgemm_ in %s\n", file);
    memcpy(&out, &found, sizeof out);
    return out;
}

static void open_libraries(void)
{
    setenv("BLIS_NUM_THREADS", "1", 1);
    setenv("MKL_NUM_THREADS", "1", 1);
    blis = open_library("libblis.so.4");
    mkl = open_library(getenv("MKL"));
}

/* A product of matrices by rows is that of the transposes by columns. */
static void by_library(sgemm *library, int s)
{
    const int m = shapes[s].m, n = shapes[s].n, k = shapes[s].k;
    const int lda = shapes[s].transa ? m : k, ldb = shapes[s].transb ? k : n;
    const float one = 1, keep = shapes[s].add;
    library(shapes[s].transb ? "T" : "N", shapes[s].transa ? "T" : "N", &n, &m, &k, &one, b, &ldb,
            a, &lda, &keep, c, &n);
}

/* ---- Our own: weights are packed once a step, blocks in cache lie as they are --------- */

static bool has_weights(int s)
{
    return shapes[s].name[0] == 'y' || strcmp(shapes[s].name, "dx") == 0;
}

static bool has_tiles(int s)
{
    return has_weights(s) || !shapes[s].transb;
}

static void pack_weights(int s)
{
    for (int panel = 0; has_weights(s) && panel < rw_panels(shapes[s].n); panel++)
        rw_pack_panel(shapes[s].k, shapes[s].n, b, shapes[s].transb, panel, packed);
}

static void by_tiles(int s)
{
    const int m = shapes[s].m, n = shapes[s].n, k = shapes[s].k;
    const rw_strided left = shapes[s].transa ? (rw_strided){a, 1, m} : (rw_strided){a, k, 1};
    if (has_weights(s))
        rw_panel_product(m, n, k, a, k, packed, shapes[s].add, c, n);
    else
        rw_tile_product(m, n, k, left, b, n, shapes[s].add, c, n);
}

/* ---- All of them ------------------------------------------------------------------- */

enum { OPENBLAS, TILES, ONEDNN, BLIS, MKL, BF16, WAYS };
static const char *const names[WAYS] = {"OpenBLAS", "tiles", "oneDNN", "BLIS", "MKL", "bf16"};

static void multiply(int way, int s)
{
    int m = shapes[s].m, n = shapes[s].n, k = shapes[s].k;
    bool ta = shapes[s].transa, tb = shapes[s].transb, add = shapes[s].add;
    int lda = ta ? m : k, ldb = tb ? k : n;
    if (way == OPENBLAS)
        rw_gemm(ta, tb, m, n, k, 1, a, lda, b, ldb, add, c, n);
    else if (way == TILES)
        by_tiles(s);
    else if (way == ONEDNN)
        rw_gemm_stored(RW_STORED_FLOAT, ta, tb, m, n, k, a, lda, b, ldb, add, c, n);
    else if (way == BF16)
        rw_gemm_stored(RW_STORED_BF16, ta, tb, m, n, k, narrow_a, lda, narrow_b, ldb, add, c, n);
    else
        by_library(way == BLIS ? blis : mkl, s);
}

static double seconds_of(int way, int s, long count)
{
    double start = rw_seconds();
    for (long i = 0; i < count; i++) multiply(way, s);
    return rw_seconds() - start;
}

static void print_ratio(const rw_rounds *ratio)
{
    if (ratio->count)
        printf(" %9.2f", rw_rounds_median(ratio));
    else
        printf(" %9s", "no");
}

static void measure(int s, int rounds, const bool *there)
{
    rw_rounds rate = {.count = 0}, ratio[WAYS] = {{.count = 0}};
    double flops = 2.0 * shapes[s].m * shapes[s].n * shapes[s].k;
    long count = (long)(WORK / flops) + 1;
    pack_weights(s);
    for (int round = 0; round <= rounds; round++) {
        double blas = seconds_of(0, s, count);
        for (int way = 1; way < WAYS; way++) {
            if (!there[way] || (way == TILES && !has_tiles(s))) continue;
            double seconds = seconds_of(way, s, count);
            if (round > 0) rw_rounds_add(&ratio[way], blas / seconds);
        }
        if (round > 0) rw_rounds_add(&rate, flops * (double)count / blas);
    }
    printf("%-8s %6d %6d %6d %12.1f", shapes[s].name, shapes[s].m, shapes[s].n, shapes[s].k,
           1e-9 * rw_rounds_median(&rate));
    for (int way = 1; way < WAYS; way++) print_ratio(&ratio[way]);
    printf("\n");
    fflush(stdout);
}

static rw_status allocate(void)
{
    RW_TRY(rw_alloc(OPERAND, sizeof(float), "products", &a));
    RW_TRY(rw_alloc(OPERAND, sizeof(float), "products", &b));
    RW_TRY(rw_alloc(OPERAND, sizeof(float), "products", &c));
    RW_TRY(rw_alloc(OPERAND, sizeof(float), "products", &packed));
    RW_TRY(rw_alloc(OPERAND, sizeof(rw_bf16), "products", &narrow_a));
    RW_TRY(rw_alloc(OPERAND, sizeof(rw_bf16), "products", &narrow_b));
    for (int i = 0; i < OPERAND; i++) {
        a[i] = (float)(i % 7) - 3, b[i] = (float)(i % 5) - 2;
        narrow_a[i] = rw_bf16_of(a[i]), narrow_b[i] = rw_bf16_of(b[i]);
    }
    return RW_OK;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    const char *no_float = rw_gemm_stored_missing(RW_STORED_FLOAT);
    const char *no_bf16 = rw_gemm_stored_missing(RW_STORED_BF16);
    open_libraries();
    const bool there[WAYS] = {[TILES] = true,
                              [ONEDNN] = !no_float,
                              [BLIS] = blis != NULL,
                              [MKL] = mkl != NULL,
                              [BF16] = !no_bf16};
    rw_gemm_one_thread();
    rw_status status = allocate();
    if (status != RW_OK) fprintf(stderr, "%s\n", rw_message());
    if (no_float) printf("oneDNN, float: %s\n", no_float);
    if (no_bf16) printf("oneDNN, bf16: %s\n", no_bf16);
    printf("OpenBLAS with its kernels for %s; the other columns are times as fast\n",
           rw_gemm_kernels());
    printf("%-8s %6s %6s %6s %12s", "product", "m", "n", "k", "BLAS GFLOP/s");
    for (int way = 1; way < WAYS; way++) printf(" %9s", names[way]);
    printf("\n");
    for (int s = 0; status == RW_OK && s < SHAPES; s++) measure(s, rounds, there);
    rw_free(&a);
    rw_free(&b);
    rw_free(&c);
    rw_free(&packed);
    rw_free(&narrow_a);
    rw_free(&narrow_b);
    return status;
}
