#include "kernels/gemm_bf16.h"

#include <math.h>
#include <stddef.h>

static void fill_with_nan(int m, int n, float *c, int ldc)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) c[(size_t)i * (size_t)ldc + (size_t)j] = NAN;
}

#ifdef HAVE_DNNL

#include <omp.h>
#include <string.h>

#include "kernels/dnnl_version.h"

/* ---- What is compiled, by shape ---------------------------------------------- */

/* Compared as bytes: no padding. */
typedef struct {
    int stored, transa, transb, add;
    int m, n, k, lda, ldb, ldc;
} shape;

enum { A, B, C, OPERANDS };

typedef struct {
    shape of;
    dnnl_primitive_t primitive;     /* NULL: the slot is empty */
    dnnl_memory_t memory[OPERANDS]; /* each call says where the data is */
} compiled;

/* By thread, so that no thread waits for another. A model has a few shapes for each of its widths;
 * if two shapes have the same slot, the older is removed. */
enum { SLOTS = 256 };
static _Thread_local compiled table[SLOTS];
static _Thread_local dnnl_engine_t engine;
static _Thread_local dnnl_stream_t stream;

static void drop(compiled *slot)
{
    if (slot->primitive) dnnl_primitive_destroy(slot->primitive);
    for (int i = 0; i < OPERANDS; i++)
        if (slot->memory[i]) dnnl_memory_destroy(slot->memory[i]);
    memset(slot, 0, sizeof *slot);
}

static dnnl_status_t start(void)
{
    if (stream) return dnnl_success;
    dnnl_status_t status = dnnl_success;
    if (!engine) status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (status != dnnl_success) return status;
    return dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
}

static dnnl_status_t lay_out(const shape *s, rw_dnnl_layout *layouts, int *count)
{
    const int transposed[OPERANDS] = {s->transa, s->transb, 0},
              ld[OPERANDS] = {s->lda, s->ldb, s->ldc};
    const int rows[OPERANDS] = {s->m, s->k, s->m}, columns[OPERANDS] = {s->k, s->n, s->n};
    for (*count = 0; *count < OPERANDS; (*count)++) {
        int i = *count;
        dnnl_dims_t sizes = {rows[i], columns[i]};
        dnnl_dims_t strides = {transposed[i] ? 1 : ld[i], transposed[i] ? ld[i] : 1};
        bool narrow = s->stored == RW_STORED_BF16 && i != C;
        dnnl_status_t status =
            rw_dnnl_layout_new(sizes, strides, narrow ? dnnl_bf16 : dnnl_f32, &layouts[i]);
        if (status != dnnl_success) return status;
    }
    return dnnl_success;
}

/* attributes: c is added to, or nothing. */
static dnnl_status_t set_addition(const shape *s, dnnl_primitive_attr_t attributes)
{
    dnnl_post_ops_t after = NULL;
    if (!s->add) return dnnl_success;
    dnnl_status_t status = dnnl_post_ops_create(&after);
    if (status == dnnl_success) status = rw_dnnl_append_sum(after);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attributes, after);
    if (after) dnnl_post_ops_destroy(after);
    return status;
}

static dnnl_status_t compile_with(const shape *s, const rw_dnnl_layout *layouts, compiled *slot)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attributes);
    if (status == dnnl_success) status = set_addition(s, attributes);
    if (status == dnnl_success) status = rw_dnnl_product(engine, layouts, attributes, &description);
    if (status == dnnl_success) status = dnnl_primitive_create(&slot->primitive, description);
    for (int i = 0; i < OPERANDS && status == dnnl_success; i++)
        status = rw_dnnl_memory(engine, &layouts[i], &slot->memory[i]);
    if (description) dnnl_primitive_desc_destroy(description);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

static dnnl_status_t compile(const shape *s, compiled *slot)
{
    rw_dnnl_layout layouts[OPERANDS];
    int count = 0;
    drop(slot);
    dnnl_status_t status = start();
    if (status == dnnl_success) status = lay_out(s, layouts, &count);
    if (status == dnnl_success) status = compile_with(s, layouts, slot);
    while (count > 0) rw_dnnl_layout_destroy(&layouts[--count]);
    slot->of = *s;
    if (status != dnnl_success) drop(slot);
    return status;
}

static compiled *slot_of(const shape *s)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    const unsigned char *bytes = (const unsigned char *)s;
    for (size_t i = 0; i < sizeof *s; i++) hash = (hash ^ bytes[i]) * 16777619u;
    return &table[(hash ^ hash >> 16) % SLOTS];
}

static dnnl_status_t find(const shape *s, compiled **out)
{
    *out = slot_of(s);
    bool there = (*out)->primitive && memcmp(&(*out)->of, s, sizeof *s) == 0;
    return there ? dnnl_success : compile(s, *out);
}

/* ---- Products ----------------------------------------------------------------- */

static dnnl_status_t multiply(compiled *slot, const void *a, const void *b, float *c)
{
    /* oneDNN takes pointers to non-const for data that it only reads. */
    void *data[OPERANDS] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, c};
    const int roles[OPERANDS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_exec_arg_t arguments[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) {
        dnnl_status_t status = dnnl_memory_set_data_handle(slot->memory[i], data[i]);
        if (status != dnnl_success) return status;
        arguments[i] = (dnnl_exec_arg_t){roles[i], slot->memory[i]};
    }
    dnnl_status_t status = dnnl_primitive_execute(slot->primitive, stream, OPERANDS, arguments);
    return status == dnnl_success ? dnnl_stream_wait(stream) : status;
}

/* oneDNN shares a product among as many threads as OpenMP would start, and cuts it
 * up by their number: it is shown one. */
static int show_one_thread(void)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

void rw_gemm_stored(rw_stored stored, bool transa, bool transb, int m, int n, int k, const void *a,
                    int lda, const void *b, int ldb, bool add, float *c, int ldc)
{
    shape s = {stored, transa, transb, add, m, n, k, lda, ldb, ldc};
    compiled *slot;
    if (m == 0 || n == 0) return;
    int before = show_one_thread();
    dnnl_status_t status = find(&s, &slot);
    if (status == dnnl_success) status = multiply(slot, a, b, c);
    omp_set_num_threads(before);
    if (status != dnnl_success) fill_with_nan(m, n, c, ldc);
}

/* Without instructions for bf16, oneDNN may still offer the product through float: slower than
 * float itself. */
static const char *processor_lacks(rw_stored stored)
{
#ifdef __x86_64__
    if (stored == RW_STORED_BF16 && !__builtin_cpu_supports("avx512bf16"))
        return "this processor has no instructions for it (avx512_bf16)";
#endif
    (void)stored;
    return NULL;
}

const char *rw_gemm_stored_missing(rw_stored stored)
{
    const shape probe = {stored, false, true, false, 64, 64, 64, 64, 64, 64};
    compiled *slot;
    const char *lacks = processor_lacks(stored);
    if (lacks) return lacks;
    int before = show_one_thread();
    dnnl_status_t status = find(&probe, &slot);
    omp_set_num_threads(before);
    return status == dnnl_success ? NULL : "oneDNN has no such product for this processor";
}

#else

void rw_gemm_stored(rw_stored stored, bool transa, bool transb, int m, int n, int k, const void *a,
                    int lda, const void *b, int ldb, bool add, float *c, int ldc)
{
    (void)stored, (void)transa, (void)transb, (void)k, (void)a, (void)lda, (void)b, (void)ldb;
    (void)add;
    fill_with_nan(m, n, c, ldc);
}

const char *rw_gemm_stored_missing(rw_stored stored)
{
    (void)stored;
    return "this program was built without oneDNN (apt install libdnnl-dev, then configure anew)";
}

#endif
