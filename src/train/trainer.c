#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "jobs/report.h"
#include "kernels/gemm.h"
#include "mpi/shards.h"
#include "optim/schedule.h"
#include "train/dataset_place.h"
#include "train/evaluation.h"
#include "train/layout_notes.h"
#include "train/run_folder.h"
#include "train/saved_carry.h"
#include "train/settings.h"
#include "train/state.h"
#include "train/stop_signal.h"
#include "train/token_meaning.h"

typedef struct {
    const rw_train_options *options;
    rw_settings settings;
    rw_layout layout;
    rw_source *source;
    rw_model *model;
    rw_trained *trained;
    rw_part *parts; /* of the trained tensors: what this rank updates */
    rw_updater *updater;
    const rw_schedule *schedule;
    rw_engine *engine;
    rw_evaluation *evaluation;
    rw_loader *loader;
    rw_state state;
    rw_saved_carry all; /* the state, and what is carried from step to step */
    rw_run_folder folder;
    uint64_t step;    /* steps done */
    uint64_t seen;    /* sequences of the data used so far: the cursor */
    uint64_t last;    /* stop after this many */
    uint64_t saved;   /* step of the newest checkpoint */
    uint64_t skipped; /* steps skipped as non-finite, in all */
    int skipped_in_a_row;
    bool told_empty;     /* that a step had nothing to predict */
    double step_seconds; /* smoothed */
    double shown;        /* when progress was last shown */
} trainer;

static double megabytes(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

/* ---- Setting up ------------------------------------------------------------- */

static rw_status open_data_and_model(trainer *t)
{
    rw_settings *s = &t->settings;
    RW_TRY(rw_dataset_beside(s->data, t->options->config));
    RW_TRY(rw_source_open(s->data, s->seed, &t->source));
    RW_TRY(rw_model_new(s->model, rw_source_format(t->source), s->seed, true, &t->model));
    if (rw_model_sees_ahead(t->model) && rw_source_tokens(t->source) > 0)
        return rw_config_fail(s->model, "blocks",
                              "a block with bidirectional: true sees the very token that it is to "
                              "predict; on a dataset all blocks must be causal");
    RW_TRY(
        rw_state_trained(t->model, rw_config_real(s->optimizer, "state_lr_factor"), &t->trained));
    RW_TRY(rw_state_parts(t->model, &t->layout, &t->parts));
    RW_TRY(rw_updater_new(s->optimizer, s->seed, t->trained, rw_graph_params(t->model->graph),
                          t->parts, &t->updater));
    t->schedule = rw_schedule_find(rw_config_string(s->schedule, "name"));
    return rw_state_new(t->model, t->updater, &t->state);
}

static rw_status plan(trainer *t)
{
    rw_plan_options training = rw_settings_plan(&t->settings, t->model->chunk, true);
    rw_plan_options evaluation = rw_settings_plan(&t->settings, t->model->chunk, false);
    RW_TRY(rw_engine_new(t->model, &t->layout, &training, &t->engine));
    RW_TRY(rw_saved_carry_new(t->engine, &t->layout, t->settings.batch, &t->state, &t->all));
    if (rw_source_heldout_targets(t->source) == 0) return RW_OK;
    return rw_evaluation_new(t->model, &t->layout, t->source, &evaluation, t->engine,
                             &t->evaluation);
}

static rw_status check_checkpoint(const trainer *t, const rw_checkpoint_meta *meta)
{
    bool same_data = meta->data_fingerprint == rw_source_fingerprint(t->source);
    if (meta->tokens.kind)
        RW_TRY(rw_tokens_check(&meta->tokens, t->source,
                               "use the data of the run, another --run-dir, or --resume never"));
    if (strcmp(meta->model, t->model->identity) != 0)
        return rw_fail(RW_ERROR,
                       "the checkpoint is of another model%s (%s; this configuration makes %s); "
                       "use another --run-dir, or --resume never",
                       same_data ? "" : ", or of data with another vocabulary", meta->model,
                       t->model->identity);
    if (meta->seed != t->settings.seed)
        rw_warn("the checkpoint was made with seed %" PRIu64 ", this run has seed %" PRIu64,
                meta->seed, t->settings.seed);
    if (!same_data) rw_warn("the data has changed since the checkpoint was written");
    return RW_OK;
}

static rw_status load(trainer *t, const char *path)
{
    rw_status status = RW_OK;
    rw_checkpoint *checkpoint = NULL;
    RW_TRY_DONE(rw_checkpoint_open(path, &checkpoint));
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    RW_TRY_DONE(check_checkpoint(t, meta));
    RW_TRY_DONE(rw_checkpoint_read(checkpoint, t->state.tensors, t->state.count));
    RW_TRY_DONE(rw_saved_carry_read(&t->all, t->engine, checkpoint));
    t->step = t->saved = meta->step;
    t->seen = meta->sequences_seen;
    t->skipped = meta->skipped_steps;
done:
    rw_checkpoint_close(&checkpoint);
    return status;
}

static rw_status resume(trainer *t)
{
    const char *how = t->options->resume;
    char *found = NULL;
    t->saved = UINT64_MAX;
    if (strcmp(how, "never") == 0) return RW_OK;
    if (strcmp(how, "auto") == 0) {
        RW_TRY(rw_checkpoint_find(&t->layout, t->folder.checkpoints, &found));
        if (!found) return RW_OK;
    }
    rw_status status = load(t, found ? found : how);
    rw_free(&found);
    return status;
}

static void record_start(trainer *t)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    rw_run_folder *f = &t->folder;
    rw_metrics_begin(f, t->step);
    rw_metrics_text(f, "event", t->step ? "resumed" : "start");
    rw_metrics_number(f, "parameters", (double)rw_model_parameters(t->model));
    rw_metrics_number(f, "ranks", t->layout.size);
    rw_metrics_number(f, "dp", t->layout.dp);
    rw_metrics_number(f, "sp", t->layout.sp);
    rw_metrics_number(f, "threads", t->layout.threads);
    rw_metrics_number(f, "memory_mib", megabytes(rw_memory_peak()));
    rw_metrics_text(f, "precision", rw_precision_name(t->settings.precision));
    rw_metrics_text(f, "blas_kernels", rw_gemm_kernels());
    rw_metrics_text(f, "data", rw_source_name(t->source));
    if (rw_source_tokens(t->source))
        rw_metrics_number(f, "heldout_tokens", (double)rw_source_heldout_targets(t->source));
    rw_metrics_text(f, "host", host);
    rw_metrics_end(f);
}

static void announce(const trainer *t)
{
    const rw_settings *s = &t->settings;
    rw_info("model: %ld parameters; data: %s", rw_model_parameters(t->model),
            rw_source_name(t->source));
    rw_info("layout: %d rank%s (dp %d x sp %d), %d thread%s each; step: %ld sequences of %ld "
            "tokens; %.0f MiB a rank",
            t->layout.size, t->layout.size == 1 ? "" : "s", t->layout.dp, t->layout.sp,
            t->layout.threads, t->layout.threads == 1 ? "" : "s", s->batch, s->length,
            megabytes(rw_memory_in_use()));
    rw_info("kernels: vectors of %d bits; BLAS for %s", 8 * RW_VECTOR_BYTES, rw_gemm_kernels());
    rw_layout_notes(&t->layout);
    if (!t->evaluation)
        rw_warn("nothing is evaluated: the dataset holds out no token that could be predicted "
                "(data build --heldout)");
    if (t->step)
        rw_info("resuming %s after step %" PRIu64 " of %" PRIu64, t->folder.path, t->step,
                s->steps);
    else
        rw_info("run folder: %s", t->folder.path);
}

static rw_status open_folder(trainer *t)
{
    rw_status status = RW_OK;
    if (t->layout.rank == 0) {
        if (strcmp(t->options->resume, "never") == 0) status = rw_run_folder_set_aside(&t->folder);
        if (status == RW_OK) status = rw_run_folder_open(&t->folder, t->settings.root, t->step);
    }
    RW_TRY(rw_agree(&t->layout, status));
    record_start(t);
    announce(t);
    return RW_OK;
}

static rw_status start_loader(trainer *t)
{
    return rw_loader_new(t->source, RW_TRAIN, t->settings.batch, rw_engine_sequences(t->engine),
                         rw_engine_rows(t->engine), t->seen, &t->loader);
}

/* Everything up to the first step. Ranks agree after each part that can fail
 * on some of them. */
static rw_status set_up(trainer *t)
{
    const rw_train_options *o = t->options;
    RW_TRY(rw_agree_comm(MPI_COMM_WORLD, rw_settings_load(o->config, o->overrides,
                                                          o->override_count, &t->settings)));
    RW_TRY(rw_settings_compare(&t->settings));
    RW_TRY(rw_settings_layout(&t->settings, &t->layout));
    rw_settings_precision(&t->settings, &t->layout);
    RW_TRY(rw_agree(&t->layout, open_data_and_model(t)));
    RW_TRY(rw_source_compare(t->source, t->layout.world));
    RW_TRY(rw_agree(&t->layout, plan(t)));
    RW_TRY(rw_agree(&t->layout, rw_run_folder_name(o->run_dir, o->config, &t->folder)));
    RW_TRY(rw_agree(&t->layout, resume(t)));
    RW_TRY(open_folder(t));
    t->last = o->stop_at && o->stop_at < t->settings.steps ? o->stop_at : t->settings.steps;
    if (t->step >= t->last) return RW_OK;
    return rw_agree(&t->layout, start_loader(t));
}

static void tear_down(trainer *t)
{
    rw_loader_destroy(&t->loader);
    rw_evaluation_destroy(&t->evaluation);
    rw_engine_destroy(&t->engine);
    rw_saved_carry_free(&t->all);
    rw_state_free(&t->state);
    rw_updater_destroy(&t->updater);
    rw_free(&t->parts);
    rw_free(&t->trained);
    rw_model_destroy(&t->model);
    rw_source_close(&t->source);
    rw_run_folder_close(&t->folder);
    rw_settings_free(&t->settings);
    rw_layout_free(&t->layout);
}

/* ---- Checkpoints and evaluation ----------------------------------------------- */

static rw_status save(trainer *t)
{
    rw_status status = RW_OK;
    char *config = NULL;
    if (t->saved == t->step) return RW_OK;
    RW_TRY_DONE(rw_agree(&t->layout, rw_config_write(t->settings.root, &config)));
    rw_checkpoint_meta meta = {
        .step = t->step,
        .seed = t->settings.seed,
        .sequences_seen = t->seen,
        .skipped_steps = t->skipped,
        .data_fingerprint = rw_source_fingerprint(t->source),
        .dp = t->layout.dp,
        .sp = t->layout.sp,
        .threads = t->layout.threads,
        .config = config,
        .model = t->model->identity,
        .tokens = rw_tokens_of(t->source),
    };
    RW_TRY_DONE(rw_checkpoint_save(&t->layout, t->folder.checkpoints, &meta, t->all.tensors,
                                   t->all.count,
                                   (int)rw_config_int(t->settings.checkpoint, "keep")));
    t->saved = t->step;
done:
    rw_free(&config);
    return status;
}

/* A save that fails in mid-run is told to the user and tried again later. */
static void save_if_due(trainer *t)
{
    uint64_t every = (uint64_t)rw_config_int(t->settings.checkpoint, "every");
    if (!every || t->step % every != 0) return;
    if (save(t) == RW_OK) return;
    rw_warn("no checkpoint at step %" PRIu64 ": %s (training goes on; older ones are intact)",
            t->step, rw_message());
    rw_clear_message();
}

/* Which held-out tokens an evaluation during training takes: `ropewalk eval` takes all. */
static void name_part(const trainer *t, uint64_t batches, char text[64])
{
    uint64_t sequences = rw_source_heldout_count(t->source), batch = (uint64_t)t->settings.batch;
    uint64_t all = (sequences + batch - 1) / batch;
    if (all > 1 && batches == 1)
        snprintf(text, 64, " (first of %" PRIu64 " batches)", all);
    else if (all > batches)
        snprintf(text, 64, " (first %" PRIu64 " of %" PRIu64 " batches)", batches, all);
    else if (all)
        snprintf(text, 64, " (all held-out tokens)");
}

static rw_status evaluate(trainer *t)
{
    rw_loss loss;
    uint64_t batches = (uint64_t)rw_config_int(t->settings.eval, "batches");
    RW_TRY(rw_evaluation_run(t->evaluation, batches, NULL, &loss));
    rw_metrics_begin(&t->folder, t->step);
    rw_metrics_number(&t->folder, "eval_loss", loss.loss);
    rw_metrics_number(&t->folder, "eval_tokens", loss.counted);
    char bits[64] = "", accuracy[64] = "", part[64] = "";
    name_part(t, batches, part);
    if (rw_source_is_bytes(t->source)) {
        rw_metrics_number(&t->folder, "eval_bits_per_byte", loss.loss / M_LN2);
        snprintf(bits, sizeof bits, ", %.4f bits per byte", loss.loss / M_LN2);
    } else if (rw_source_format(t->source)->target_vocab > 0) {
        rw_metrics_number(&t->folder, "eval_accuracy", loss.correct / loss.counted);
        snprintf(accuracy, sizeof accuracy, ", accuracy %.4f", loss.correct / loss.counted);
    }
    RW_TRY(rw_agree(&t->layout, rw_metrics_end(&t->folder)));
    if (loss.counted == 0)
        rw_warn("step %" PRIu64 ": nothing to predict in the first %" PRIu64 " held-out batches; "
                "raise eval.batches",
                t->step, batches);
    else
        rw_info("step %" PRIu64 ": held-out loss %.5f%s%s%s", t->step, loss.loss, bits, accuracy,
                part);
    return RW_OK;
}

static rw_status evaluate_if_due(trainer *t)
{
    if (!t->evaluation) return RW_OK;
    uint64_t every = (uint64_t)rw_config_int(t->settings.eval, "every");
    bool last = t->step == t->last;
    if (!last && (!every || t->step % every != 0)) return RW_OK;
    return evaluate(t);
}

/* ---- Steps -------------------------------------------------------------------- */

typedef struct {
    rw_loss loss;
    double norm, lr, seconds, wait;
    rw_comm_counters comm;
} step_facts;

static void time_left(double seconds, char out[32])
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 32, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld s", s);
}

static void show_progress(trainer *t, const step_facts *f)
{
    double now = MPI_Wtime(), interval = rw_on_terminal() ? 0.1 : 10;
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * f->seconds : f->seconds;
    if (now - t->shown < interval && t->step != t->last) return;
    t->shown = now;
    char left[32], loss[48];
    time_left((double)(t->last - t->step) * t->step_seconds, left);
    if (rw_source_is_bytes(t->source))
        snprintf(loss, sizeof loss, "loss %.4f (%.3f bits per byte)", f->loss.loss,
                 f->loss.loss / M_LN2);
    else
        snprintf(loss, sizeof loss, "loss %.5f", f->loss.loss);
    double tokens = (double)t->settings.batch * (double)t->settings.length;
    rw_progress(t->step == t->last, "step %" PRIu64 "/%" PRIu64 "  %s  %.0f tokens/s  %s left",
                t->step, t->last, loss, tokens / t->step_seconds, left);
}

static rw_status write_metrics(trainer *t, const step_facts *f)
{
    rw_run_folder *o = &t->folder;
    double tokens = (double)t->settings.batch * (double)t->settings.length;
    rw_metrics_begin(o, t->step);
    rw_metrics_number(o, "loss", f->loss.loss);
    if (rw_source_is_bytes(t->source)) rw_metrics_number(o, "bits_per_byte", f->loss.loss / M_LN2);
    rw_metrics_number(o, "tokens", (double)t->seen * (double)t->settings.length);
    rw_metrics_number(o, "tokens_per_s", tokens / f->seconds);
    rw_metrics_number(o, "lr", f->lr);
    rw_metrics_number(o, "grad_norm", f->norm);
    rw_metrics_number(o, "step_s", f->seconds);
    rw_metrics_number(o, "data_wait_s", f->wait);
    rw_metrics_number(o, "comm_s", rw_comm_count.seconds - f->comm.seconds);
    rw_metrics_number(o, "exposed_comm_s", rw_comm_count.exposed - f->comm.exposed);
    rw_metrics_number(o, "bytes_sent", rw_comm_count.bytes - f->comm.bytes);
    return rw_metrics_end(o);
}

/* A step whose loss or gradient is not finite changes nothing, neither weights nor
 * the carry, which then jumps over the step's tokens; too many in a
 * row end the run, with a checkpoint of the last good state. */
static rw_status skip(trainer *t, const step_facts *f)
{
    t->skipped++;
    t->skipped_in_a_row++;
    rw_metrics_begin(&t->folder, t->step + 1);
    rw_metrics_text(&t->folder, "event", "skipped");
    rw_metrics_end(&t->folder);
    rw_warn("step %" PRIu64 " is skipped: loss %g, gradient norm %g", t->step + 1, f->loss.loss,
            f->norm);
    int most = (int)rw_config_int(t->settings.optimizer, "max_skipped");
    if (t->skipped_in_a_row < most) return RW_OK;
    rw_status status = save(t);
    if (status != RW_OK) return status;
    return rw_fail(RW_ERROR,
                   "%d steps in a row had a loss or gradient that is not finite; stopped after "
                   "step %" PRIu64 " with a checkpoint in %s; lower optimizer.lr or clip",
                   most, t->step, t->folder.checkpoints);
}

/* The mean over no targets is not 0: metrics hold null. */
static void tell_empty_step(trainer *t, step_facts *f)
{
    f->loss.loss = NAN;
    if (!t->told_empty)
        rw_warn("step %" PRIu64 ": no token of its sequences is to be predicted, every document in "
                "them is one token; such steps have no loss",
                t->step);
    t->told_empty = true;
}

static rw_status run_step(trainer *t)
{
    step_facts f = {.comm = rw_comm_count};
    double start = MPI_Wtime();
    const rw_batch *batch;
    RW_TRY(rw_agree(&t->layout, rw_loader_next(t->loader, &batch)));
    f.wait = batch->wait_s;
    rw_engine_train(t->engine, batch, t->settings.seed, t->step, &f.loss);
    f.norm = rw_updater_norm(t->updater);
    f.lr = rw_config_real(t->settings.optimizer, "lr") *
           rw_schedule_at(t->schedule, t->settings.schedule, t->step, t->settings.steps);
    if (isfinite(f.loss.loss) && isfinite(f.norm)) {
        rw_updater_step(t->updater, t->step, f.lr, f.norm);
        rw_shards_all_gather(&t->layout, rw_graph_weights(t->model->graph), t->model->weights);
        rw_engine_carry_on(t->engine);
        t->skipped_in_a_row = 0;
    } else {
        RW_TRY(skip(t, &f));
    }
    t->step++;
    t->seen += (uint64_t)t->settings.batch;
    f.seconds = MPI_Wtime() - start;
    if (f.loss.counted == 0) tell_empty_step(t, &f);
    show_progress(t, &f);
    return rw_agree(&t->layout, write_metrics(t, &f));
}

/* Every rank learns whether any of them was asked to stop. */
static bool asked_to_stop(const trainer *t)
{
    int signal = rw_stop_signal();
    MPI_Allreduce(MPI_IN_PLACE, &signal, 1, MPI_INT, MPI_MAX, t->layout.world);
    return signal != 0;
}

static rw_status stop_early(trainer *t)
{
    RW_TRY(save(t));
    rw_metrics_begin(&t->folder, t->step);
    rw_metrics_text(&t->folder, "event", "stopped");
    rw_metrics_end(&t->folder);
    rw_info("stopped by a signal after step %" PRIu64 " of %" PRIu64
            "; the same command continues it",
            t->step, t->settings.steps);
    return RW_INTERRUPTED;
}

static rw_status run_steps(trainer *t)
{
    while (t->step < t->last) {
        RW_TRY(run_step(t));
        bool stop = asked_to_stop(t);
        RW_TRY(evaluate_if_due(t));
        if (t->step < t->last) save_if_due(t);
        if (stop) return stop_early(t);
    }
    return save(t);
}

static rw_status finish(trainer *t)
{
    rw_status status = t->layout.rank == 0 ? rw_report_write(t->folder.path) : RW_OK;
    RW_TRY(rw_agree(&t->layout, status));
    rw_info("done: %" PRIu64 " steps; report: %s/report.html", t->step, t->folder.path);
    return RW_OK;
}

rw_status rw_train(const rw_train_options *options)
{
    trainer t = {.options = options};
    rw_stop_signal_install();
    rw_status status = set_up(&t);
    if (status == RW_OK) status = run_steps(&t);
    if (status == RW_OK) status = finish(&t);
    tear_down(&t);
    return status;
}
