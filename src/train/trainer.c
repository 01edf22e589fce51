#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "report/report.h"
#include "kernels/gemm.h"
#include "mpi/host_memory.h"
#include "mpi/shards.h"
#include "train/dataset_place.h"
#include "train/launcher_grace.h"
#include "train/layout_notes.h"
#include "train/stop_signal.h"
#include "train/token_meaning.h"
#include "train/training.h"

static double megabytes(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

/* ---- Setting up ------------------------------------------------------------- */

static rw_status open_data_and_model(rw_training *t)
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

static rw_status plan(rw_training *t)
{
    rw_plan_options training = rw_settings_plan(&t->settings, t->model->chunk, true);
    rw_plan_options evaluation = rw_settings_plan(&t->settings, t->model->chunk, false);
    RW_TRY(rw_engine_new(t->model, &t->layout, &training, &t->engine));
    RW_TRY(rw_saved_carry_new(t->engine, &t->layout, t->settings.batch, &t->state, &t->all));
    if (rw_source_heldout_targets(t->source) == 0) return RW_OK;
    return rw_evaluation_new(t->model, &t->layout, t->source, &evaluation, t->engine,
                             &t->evaluation);
}

static void record_precision(const rw_training *t, rw_run_folder *f)
{
    rw_metrics_text(f, "precision", rw_precision_name(t->settings.precision));
    if (!*t->precision_why) return;
    rw_metrics_text(f, "precision_why", t->precision_why);
    if (!t->trial.tokens) return;
    rw_metrics_number(f, "float32_tokens_per_s", t->trial.float32_rate);
    rw_metrics_number(f, "bf16_tokens_per_s", t->trial.bf16_rate);
}

static void record_start(rw_training *t)
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
    record_precision(t, f);
    rw_metrics_text(f, "blas_kernels", rw_gemm_kernels());
    rw_metrics_text(f, "data", rw_source_name(t->source));
    if (rw_source_tokens(t->source))
        rw_metrics_number(f, "heldout_tokens", (double)rw_source_heldout_targets(t->source));
    rw_metrics_text(f, "host", host);
    rw_metrics_end(f);
}

static void announce(const rw_training *t)
{
    const rw_settings *s = &t->settings;
    rw_info("model: %ld parameters; data: %s", rw_model_parameters(t->model),
            rw_source_name(t->source));
    rw_info("layout: %d rank%s (dp %d x sp %d), %d thread%s each; step: %ld sequences of %ld "
            "tokens; %.0f MiB a rank",
            t->layout.size, t->layout.size == 1 ? "" : "s", t->layout.dp, t->layout.sp,
            t->layout.threads, t->layout.threads == 1 ? "" : "s", s->batch, s->length,
            megabytes(rw_memory_in_use()));
    rw_info("kernels: %s", t->kernels);
    if (*t->precision_why) rw_info("precision: %s", t->precision_why);
    rw_layout_notes(&t->layout);
    if (!t->evaluation)
        rw_warn("no evaluation: the held-out part of the dataset has no targets "
                "(data build --heldout)");
    if (t->resumed)
        rw_info("resuming %s after step %" PRIu64 " of %" PRIu64, t->folder.path, t->step,
                s->steps);
    else
        rw_info("run folder: %s", t->folder.path);
}

/* Settings that decide how sums are rounded. */
static void name_kernels(rw_training *t)
{
    snprintf(t->kernels, sizeof t->kernels, "vectors of %d bits, BLAS for %s", 8 * RW_VECTOR_BYTES,
             rw_gemm_kernels());
}

/* Before the folder is read for a resume: no other process may write it. */
static rw_status claim_folder(rw_training *t)
{
    rw_status status = rw_run_folder_name(t->options->run_dir, t->options->config, &t->folder);
    if (status == RW_OK && t->layout.rank == 0)
        status = rw_run_folder_claim(&t->folder, t->options->force);
    return rw_agree(&t->layout, status);
}

static rw_status open_folder(rw_training *t)
{
    rw_status status = RW_OK;
    if (t->layout.rank == 0) {
        status = rw_training_clear_way(t);
        if (status == RW_OK) status = rw_run_folder_open(&t->folder, t->settings.root, t->step);
    }
    RW_TRY(rw_agree(&t->layout, status));
    record_start(t);
    announce(t);
    rw_training_tell_changes(t);
    rw_training_tell_given(t);
    return RW_OK;
}

enum { ASKED_TO_STOP = 1, LOST_FOLDER = 2, ASKED_TO_SAVE = 4 };

/* Shares requests among all ranks: to stop, by a signal or because another process has taken over
 * the run folder; or the request `more`. */
static int asked_for(const rw_training *t, int more)
{
    int asked = more;
    if (rw_stop_signal()) asked |= ASKED_TO_STOP;
    if (rw_writer_locks_lost()) asked |= LOST_FOLDER;
    MPI_Allreduce(MPI_IN_PLACE, &asked, 1, MPI_INT, MPI_BOR, t->layout.world);
    return asked;
}

/* Between two micro-batches. */
static bool gives_step_up(void *state)
{
    return asked_for(state, 0) != 0;
}

/* Between two steps. A checkpoint is due when metrics cannot be written: before the disk is full.
 */
static int what_next(rw_training *t)
{
    return asked_for(t, rw_metrics_ask_for_checkpoint(&t->folder) ? ASKED_TO_SAVE : 0);
}

rw_status rw_training_start_loader(rw_training *t)
{
    return rw_loader_new(t->source, RW_TRAIN, t->settings.batch, rw_engine_sequences(t->engine),
                         rw_engine_rows(t->engine), t->seen, &t->loader);
}

/* --init applies to a new run alone; a run with checkpoints continues with its own weights. */
static rw_status given_weights(rw_training *t)
{
    if (!t->options->init) return RW_OK;
    if (!t->resumed) return rw_agree(&t->layout, rw_training_initialise(t));
    rw_info("%s has checkpoints: it goes on from step %" PRIu64 ", --init %s is not used",
            t->folder.path, t->step, t->options->init);
    return RW_OK;
}

static bool nothing_to_train(const rw_training *t)
{
    return t->resumed && t->step >= t->last;
}

/* All work before the first step. Ranks agree after each part that can fail on some ranks. */
static rw_status set_up(rw_training *t)
{
    const rw_train_options *o = t->options;
    RW_TRY(rw_agree_comm(MPI_COMM_WORLD, rw_settings_load(o->config, o->overrides,
                                                          o->override_count, &t->settings)));
    RW_TRY(rw_settings_compare(&t->settings));
    RW_TRY(rw_settings_layout(&t->settings, &t->layout));
    RW_TRY(rw_agree(&t->layout, open_data_and_model(t)));
    RW_TRY(rw_source_compare(t->source, t->layout.world));
    RW_TRY(claim_folder(t));
    RW_TRY(rw_training_find(t));
    RW_TRY(rw_training_choose_precision(t));
    RW_TRY(rw_agree(&t->layout, plan(t)));
    RW_TRY(rw_host_memory_check(&t->layout));
    name_kernels(t);
    RW_TRY(rw_training_resume(t));
    RW_TRY(given_weights(t));
    t->last = o->stop_at < t->settings.steps ? o->stop_at : t->settings.steps;
    if (nothing_to_train(t)) return RW_OK;
    RW_TRY(open_folder(t));
    if (t->step >= t->last) return RW_OK;
    rw_engine_let_stop(t->engine, gives_step_up, t);
    return rw_agree(&t->layout, rw_training_start_loader(t));
}

static void tear_down(rw_training *t)
{
    rw_loader_destroy(&t->loader);
    rw_checkpoint_close(&t->checkpoint);
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
    rw_changes_free(&t->changes);
    rw_training_forget_given(t);
    rw_settings_free(&t->settings);
    rw_layout_free(&t->layout);
}

/* ---- Evaluation ----------------------------------------------- */

/* Bits per byte, or the share of right predictions; null without a target. */
static void add_figures(rw_training *t, const rw_loss *loss, char text[64])
{
    double right = loss->counted > 0 ? loss->correct / loss->counted : NAN;
    text[0] = '\0';
    if (rw_source_is_bytes(t->source)) {
        rw_metrics_number(&t->folder, "eval_bits_per_byte", loss->loss / M_LN2);
        snprintf(text, 64, ", %.4f bits per byte", loss->loss / M_LN2);
    } else if (rw_source_format(t->source)->target_vocab > 0) {
        rw_metrics_number(&t->folder, "eval_accuracy", right);
        snprintf(text, 64, ", accuracy %.4f", right);
    }
}

/* The held-out tokens of an evaluation during training: `ropewalk eval` takes all. */
static void name_part(const rw_training *t, uint64_t batches, char text[64])
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

static rw_status evaluate(rw_training *t)
{
    rw_loss loss;
    char figures[64];
    uint64_t batches = (uint64_t)rw_config_int(t->settings.eval, "batches");
    RW_TRY(rw_evaluation_run(t->evaluation, batches, NULL, &loss));
    t->evaluated = t->step;
    t->heldout_loss = loss.loss;
    rw_metrics_begin(&t->folder, t->step);
    rw_metrics_number(&t->folder, "eval_loss", loss.loss);
    rw_metrics_number(&t->folder, "eval_tokens", loss.counted);
    char part[64] = "";
    name_part(t, batches, part);
    add_figures(t, &loss, figures);
    rw_metrics_end(&t->folder);
    if (loss.counted == 0)
        rw_warn("step %" PRIu64 ": nothing to predict in the first %" PRIu64 " held-out batches; "
                "raise eval.batches",
                t->step, batches);
    else
        rw_info("step %" PRIu64 ": held-out loss %.5f%s%s", t->step, loss.loss, figures, part);
    return RW_OK;
}

static rw_status evaluate_if_due(rw_training *t)
{
    if (!t->evaluation) return RW_OK;
    uint64_t every = (uint64_t)rw_config_int(t->settings.eval, "every");
    bool last = t->step == t->last;
    if (!last && (!every || t->step % every != 0)) return RW_OK;
    return evaluate(t);
}

/* ---- Steps -------------------------------------------------------------------- */

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

static void show_progress(rw_training *t, const rw_step_facts *f)
{
    double now = MPI_Wtime(), interval = rw_on_terminal() ? 0.1 : 10;
    bool first = t->step_seconds <= 0; /* a single step may take long: the line is shown at once */
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * f->seconds : f->seconds;
    if (!first && now - t->shown < interval && t->step != t->last) return;
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

static void write_metrics(rw_training *t, const rw_step_facts *f)
{
    rw_run_folder *o = &t->folder;
    double tokens = (double)t->settings.batch * (double)t->settings.length;
    rw_metrics_begin(o, t->step);
    rw_metrics_number(o, "loss", f->loss.loss);
    if (rw_source_is_bytes(t->source)) rw_metrics_number(o, "bits_per_byte", f->loss.loss / M_LN2);
    rw_metrics_number(o, "tokens", (double)t->tokens);
    rw_metrics_number(o, "tokens_per_s", tokens / f->seconds);
    rw_metrics_number(o, "lr", f->lr);
    rw_metrics_number(o, "grad_norm", f->norm);
    rw_metrics_number(o, "step_s", f->seconds);
    rw_metrics_number(o, "data_wait_s", f->wait);
    rw_metrics_number(o, "comm_s", rw_comm_count.seconds - f->comm.seconds);
    rw_metrics_number(o, "exposed_comm_s", rw_comm_count.exposed - f->comm.exposed);
    rw_metrics_number(o, "bytes_sent", rw_comm_count.bytes - f->comm.bytes);
    rw_metrics_end(o);
}

static void update(rw_training *t, const rw_step_facts *f)
{
    rw_updater_step(t->updater, t->step, f->lr, f->norm);
    rw_shards_all_gather(&t->layout, rw_graph_weights(t->model->graph), t->model->weights);
    rw_engine_carry_on(t->engine);
    rw_training_accept(t, f->loss.loss);
}

/* A step with a loss or gradient that is not finite changes neither weights nor the carry; the
 * carry then jumps over the tokens of the step. *back: training went back to a checkpoint. */
static rw_status apply(rw_training *t, const rw_step_facts *f, bool *back)
{
    rw_verdict verdict = rw_training_judge(t, f);
    *back = false;
    if (verdict != RW_STEP_GOOD) RW_TRY(rw_training_roll_back(t, f, verdict, back));
    if (*back) return RW_OK;
    if (verdict == RW_STEP_EMPTY || verdict == RW_STEP_NOT_FINITE)
        return rw_training_skip(t, f, verdict);
    update(t, f);
    return RW_OK;
}

static rw_status run_step(rw_training *t)
{
    rw_step_facts f = {.comm = rw_comm_count};
    double start = MPI_Wtime();
    const rw_batch *batch;
    RW_TRY(rw_agree(&t->layout, rw_loader_next(t->loader, &batch)));
    f.wait = batch->wait_s;
    if (!rw_engine_train(t->engine, batch, t->settings.seed, t->step, &f.loss)) return RW_OK;
    f.norm = rw_updater_norm(t->updater);
    f.lr = rw_config_real(t->settings.optimizer, "lr") *
           rw_schedule_at(t->schedule, t->settings.schedule, t->step, t->settings.steps);
    bool back;
    RW_TRY(apply(t, &f, &back));
    if (back) return RW_OK;
    t->step++;
    t->seen += (uint64_t)t->settings.batch;
    t->tokens += (uint64_t)t->settings.batch * (uint64_t)t->settings.length;
    f.seconds = MPI_Wtime() - start;
    show_progress(t, &f);
    write_metrics(t, &f);
    return RW_OK;
}

static rw_status stop_early(rw_training *t)
{
    RW_TRY(rw_training_save(t));
    rw_metrics_begin(&t->folder, t->step);
    rw_metrics_text(&t->folder, "event", "stopped");
    rw_metrics_end(&t->folder);
    rw_info("stopped by a signal after step %" PRIu64 " of %" PRIu64
            "; the same command continues it",
            t->step, t->settings.steps);
    return RW_INTERRUPTED;
}

static rw_status check_folder(const rw_training *t)
{
    return rw_agree(&t->layout, t->layout.rank == 0 ? rw_writer_locks_check() : RW_OK);
}

/* How long a signal would have to wait for a checkpoint. */
static void warn_of_launcher(const rw_training *t)
{
    if (t->layout.rank != 0 || t->saved == UINT64_MAX) return;
    double parts = (double)rw_config_int(t->settings.train, "accumulate");
    rw_launcher_grace_warn(t->step_seconds / parts + t->save_seconds);
}

/* Work after a counted step. */
static rw_status after_step(rw_training *t, int asked)
{
    /* Who asks to stop may not wait for an evaluation. */
    if (asked & ASKED_TO_STOP) RW_TRY(rw_training_save(t));
    RW_TRY(evaluate_if_due(t));
    if (t->step < t->last) rw_training_save_if_due(t, asked & ASKED_TO_SAVE);
    warn_of_launcher(t);
    return RW_OK;
}

static rw_status run_steps(rw_training *t)
{
    /* Something to go back to. */
    if (!t->resumed && rw_config_int(t->settings.train, "rollback") > 0)
        RW_TRY(rw_training_save(t));
    int asked = what_next(t);
    while (t->step < t->last && !(asked & (ASKED_TO_STOP | LOST_FOLDER))) {
        uint64_t before = t->step;
        RW_TRY(run_step(t));
        asked = what_next(t);
        /* A step that was given up, or that caused a rollback, is not counted. */
        if (t->step > before) RW_TRY(after_step(t, asked));
    }
    if (asked & LOST_FOLDER) RW_TRY(check_folder(t));
    if (t->step < t->last) return stop_early(t);
    if (t->skipped_in_a_row)
        rw_warn("the last %" PRIu64 " steps were skipped: the weights are those of step %" PRIu64,
                t->skipped_in_a_row, t->step - t->skipped_in_a_row);
    return rw_training_save(t);
}

/* A report that cannot be written is no failure of the training: all weights are saved. */
static bool write_report(const rw_training *t)
{
    if (t->layout.rank != 0) return true;
    if (rw_report_write(t->folder.path, t->options->force) == RW_OK) return true;
    rw_warn("no report: %s; ropewalk report %s writes it later", rw_message(), t->folder.path);
    rw_clear_message();
    return false;
}

static rw_status finish(rw_training *t)
{
    RW_TRY(check_folder(t));
    if (write_report(t))
        rw_info("done: %" PRIu64 " steps; report: %s/report.html", t->step, t->folder.path);
    else
        rw_info("done: %" PRIu64 " steps", t->step);
    return RW_OK;
}

/* The run has reached its last step. Its files describe how it was trained: settings of this
 * launch, which were not in force, are not written. */
static rw_status tell_idle(rw_training *t)
{
    rw_info("nothing to train: the checkpoint is of step %" PRIu64
            ", and the run ends after step %" PRIu64 " (train.steps %" PRIu64 ")",
            t->step, t->last, t->settings.steps);
    for (size_t i = 0; i < t->changes.count; i++) {
        const rw_change *c = &t->changes.items[i];
        rw_warn("not in force, because no step was trained: %s: %s -> %s", c->key, c->old, c->now);
    }
    if (!t->changes.count && !t->elsewhere) write_report(t);
    return RW_OK;
}

rw_status rw_train(const rw_train_options *options)
{
    rw_training t = {.options = options};
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    rw_stop_signal_install(rank == 0);
    rw_status status = set_up(&t);
    if (status == RW_OK && nothing_to_train(&t)) {
        status = tell_idle(&t);
    } else {
        if (status == RW_OK) status = run_steps(&t);
        if (status == RW_OK) status = finish(&t);
    }
    tear_down(&t);
    return status;
}
