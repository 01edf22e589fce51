#include <jansson.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "measure/bench_record.h"
#include "kernels/gemm.h"
#include "storage/durable_file.h"

#define RECORD_MAX ((size_t)64 << 20)

static json_t *limits_json(const rw_limits *l)
{
    json_t *transforms = json_array();
    for (int i = 0; i < RW_FFT_SIZES; i++)
        json_array_append_new(
            transforms, json_pack("{si sf}", "points", l->fft_size[i], "flop_per_s", l->fft[i]));
    return json_pack("{sf sf sf sf ss so}", "products_flop_per_s", l->rates.products,
                     "products_bf16_flop_per_s", l->products_bf16, "triad_bytes_per_s",
                     l->rates.memory, "subnormal_over_normal_time", l->subnormal, "blas_kernels",
                     rw_gemm_kernels(), "transforms", transforms);
}

/* ---- Rows ---------------------------------------------------------------------- */

/* null: an op without inputs and parameters has no backward. */
static json_t *op_pass_json(const rw_op_pass *p)
{
    if (p->cost.bytes <= 0) return json_null();
    return json_pack("{sf sf sf sf ss}", "seconds_per_token", p->seconds, "flops_per_token",
                     p->cost.flops, "bytes_per_token", p->cost.bytes, "share_of_limit", p->share,
                     "limit", p->is_memory ? "memory" : "products");
}

static json_t *op_json(const void *rows, size_t i)
{
    const rw_op_row *row = (const rw_op_row *)rows + i;
    const rw_op_figures *f = &row->figures;
    if (f->rounds == 0)
        return json_pack("{ss ss ss}", "op", row->op, "as_in", row->where, "not_measured",
                         f->reason);
    return json_pack("{ss ss si si si so so sf}", "op", row->op, "as_in", row->where, "columns_in",
                     f->in, "columns_out", f->out, "rounds", f->rounds, "forward",
                     op_pass_json(&f->forward), "backward", op_pass_json(&f->backward),
                     "seconds_once_a_step", f->prepare);
}

/* The first members of all rows of models. */
static json_t *sizes_json(const char *kind, const char *name, long length, long batch, int rounds,
                          const char *reason)
{
    json_t *row = json_pack("{ss sI sI}", kind, name, "length", (json_int_t)length, "batch",
                            (json_int_t)batch);
    if (rounds)
        json_object_set_new(row, "rounds", json_integer(rounds));
    else
        json_object_set_new(row, "not_measured", json_string(reason));
    return row;
}

static void add_new(json_t *row, json_t *figures)
{
    json_object_update(row, figures);
    json_decref(figures);
}

static json_t *mixer_json(const void *rows, size_t i)
{
    const rw_model_row *row = (const rw_model_row *)rows + i;
    const rw_model_figures *f = &row->figures;
    const rw_pass_figures *forward = &f->forward, *step = &f->step;
    double tokens = (double)f->length * (double)f->batch;
    json_t *out = sizes_json("mixer", row->name, f->length, f->batch, f->rounds, f->reason);
    if (f->rounds == 0) return out;
    add_new(out, json_pack("{sf sf sf sf sf sf sf}", "forward_tokens_per_s",
                           tokens / forward->seconds, "backward_tokens_per_s",
                           rw_bench_rate(tokens, rw_bench_backward(f)), "step_tokens_per_s",
                           tokens / step->seconds, "forward_share_of_products", forward->products,
                           "step_share_of_products", step->products, "forward_share_of_limits",
                           forward->limits, "step_share_of_limits", step->limits));
    add_new(out, json_pack("{sf sf sf}", "forward_bytes_sent_per_token", forward->sent_bytes,
                           "step_bytes_sent_per_token", step->sent_bytes, "memory_bytes_per_token",
                           f->memory));
    return out;
}

static json_t *step_json(const void *rows, size_t i)
{
    const rw_model_row *row = (const rw_model_row *)rows + i;
    const rw_model_figures *f = &row->figures;
    const rw_pass_figures *step = &f->step;
    double tokens = (double)f->length * (double)f->batch;
    json_t *out = sizes_json("model", row->name, f->length, f->batch, f->rounds, f->reason);
    if (f->rounds == 0) return out;
    add_new(out, json_pack("{sf sf sf sf sf sf sf}", "seconds", step->seconds, "tokens_per_s",
                           tokens / step->seconds, "flops_per_token", f->flops, "share_of_products",
                           step->products, "share_of_limits", step->limits, "bytes_sent_per_token",
                           step->sent_bytes, "memory_bytes_per_token", f->memory));
    return out;
}

static json_t *scaling_json(const void *rows, size_t i)
{
    const rw_scaling_row *row = (const rw_scaling_row *)rows + i;
    const rw_scaling_figures *f = &row->figures;
    json_t *out = sizes_json("model", row->name, f->length, f->batch, f->rounds, f->reason);
    if (f->rounds)
        add_new(out, json_pack("{sf sf sf sf sf}", "alone_seconds", f->alone, "dp_seconds", f->dp,
                               "sp_seconds", f->sp, "dp_gain", f->dp_gain, "sp_gain", f->sp_gain));
    return out;
}

static json_t *invariance_json(const void *rows, size_t i)
{
    const rw_invariance_row *row = (const rw_invariance_row *)rows + i;
    const rw_invariance_figures *f = &row->figures;
    json_t *out = sizes_json("model", row->name, f->length, f->batch, f->rounds, f->reason);
    if (f->rounds)
        add_new(out, json_pack("{sf sf sf sf sf sf sf}", "step_seconds", f->step,
                               "sums_tree_seconds", f->sums_tree, "sums_plain_seconds",
                               f->sums_plain, "carries_tree_seconds", f->scans_tree,
                               "carries_plain_seconds", f->scans_plain, "sums_cost_of_step",
                               f->sums_share, "carries_cost_of_step", f->scans_share));
    return out;
}

static json_t *primitive_json(const void *rows, size_t i)
{
    const rw_primitive_row *row = (const rw_primitive_row *)rows + i;
    const rw_primitive_figures *f = &row->figures;
    return json_pack("{ss ss sf sf sf sb sf}", "primitive", row->primitive->name, "payload",
                     row->primitive->payload, "payload_bytes", f->payload, "predicted_bytes",
                     f->predicted, "counted_bytes", f->counted, "exact", (int)f->exact, "seconds",
                     f->seconds);
}

/* ---- The whole ------------------------------------------------------------------ */

static json_t *rows_json(const rw_bench_rows *rows, json_t *(*one)(const void *rows, size_t i))
{
    json_t *out = json_array();
    for (size_t i = 0; i < rows->count; i++) json_array_append_new(out, one(rows->rows, i));
    return out;
}

static json_t *record_json(const rw_bench_record *r)
{
    json_t *root = json_pack("{si si si si si ss ss}", "dp", r->dp, "sp", r->sp, "threads",
                             r->threads, "width", r->width, "chunk_of_ops", r->chunk, "recompute",
                             r->recompute, "precision", r->precision);
    if (r->has_limits) json_object_set_new(root, "limits", limits_json(&r->limits));
    json_object_set_new(root, "ops", rows_json(&r->ops, op_json));
    json_object_set_new(root, "mixers", rows_json(&r->mixers, mixer_json));
    json_object_set_new(root, "steps", rows_json(&r->steps, step_json));
    json_object_set_new(root, "scaling", rows_json(&r->scaling, scaling_json));
    json_object_set_new(root, "invariance", rows_json(&r->invariance, invariance_json));
    json_object_set_new(root, "primitives", rows_json(&r->primitives, primitive_json));
    return root;
}

rw_status rw_bench_write_json(const rw_bench_record *record, const char *path)
{
    rw_draft draft;
    RW_TRY(rw_draft_begin(path, &draft));
    json_t *root = record_json(record);
    int failed = json_dumpf(root, draft.stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    rw_status status = RW_OK;
    if (failed)
        status = rw_fail(RW_ERROR, "cannot write the figures to %s: is the disk full?", path);
    return rw_draft_end(status, &draft);
}

static bool is_record(const char *text, size_t size)
{
    json_t *root = json_loadb(text, size, 0, NULL);
    bool found = json_is_integer(json_object_get(root, "chunk_of_ops")) &&
                 json_is_array(json_object_get(root, "primitives"));
    json_decref(root);
    return found;
}

rw_status rw_bench_json_replaces(const char *path, bool force)
{
    struct stat about;
    char *text;
    size_t size;
    if (lstat(path, &about) < 0) return RW_OK;
    RW_TRY(rw_file_head(path, RECORD_MAX, &text, &size));
    if (!text) return rw_fail(RW_ERROR, "%s is no file; name another one with --json", path);
    bool ours = force || size == 0 || is_record(text, size);
    rw_free(&text);
    if (ours) return RW_OK;
    return rw_fail(RW_ERROR,
                   "%s is no record of ropewalk bench; name another file with --json, or replace "
                   "it with --force",
                   path);
}
