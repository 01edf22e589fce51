/* Optimizers against their formulas, the update of a whole model (norm,
 * clipping, noise, groups), and schedules. What every optimizer and schedule
 * must do is checked for all in the registries. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "optim/schedule.h"
#include "optim/update.h"

#define N       1003 /* no multiple of any vector */
#define EPSILON (sizeof(real) == sizeof(float) ? 0x1p-23 : 0x1p-52)

static double normal(uint64_t stream, long i)
{
    return rw_random_normal(rw_random_stream(7, RW_RANDOM_TEST, stream), (uint64_t)i);
}

static void fill(uint64_t stream, long n, real *out)
{
    for (long i = 0; i < n; i++) out[i] = (real)normal(stream, i);
}

static rw_config *parse(const char *text, const rw_key *common, const rw_key *own)
{
    rw_config *config = NULL;
    const rw_key *const tables[] = {common, own};
    rw_clear_message();
    assert_int_equal(rw_config_parse(text, "test.yaml", NULL, 0, &config), RW_OK);
    assert_int_equal(rw_config_check(config, tables, 2), RW_OK);
    return config;
}

static rw_config *optimizer_config(const char *name, const char *more)
{
    char text[256];
    snprintf(text, sizeof text, "name: %s\n%s", name, more);
    return parse(text, rw_update_keys, rw_optimizer_find(name)->keys);
}

static rw_config *schedule_config(const char *name, const char *more)
{
    char text[256];
    snprintf(text, sizeof text, "name: %s\n%s", name, more);
    return parse(text, rw_schedule_keys, rw_schedule_find(name)->keys);
}

static rw_updater *updater_of(const char *name, const char *more, const rw_trained *tensors,
                              int count)
{
    rw_config *config = optimizer_config(name, more);
    rw_updater *updater = NULL;
    assert_int_equal(rw_updater_new(config, 11, tensors, count, NULL, &updater), RW_OK);
    rw_config_destroy(&config);
    return updater;
}

/* ---- optimizers ---- */

static void find_knows_the_registry_only(void **state)
{
    (void)state;
    for (int i = 0; rw_optimizer_registry[i]; i++) {
        const rw_optimizer *optimizer = rw_optimizer_registry[i];
        assert_ptr_equal(rw_optimizer_find(optimizer->name), optimizer);
        assert_true(optimizer->moments <= RW_MAX_MOMENTS);
        for (int k = 0; k < optimizer->moments; k++) assert_non_null(optimizer->moment_names[k]);
    }
    for (int i = 0; rw_schedule_registry[i]; i++)
        assert_ptr_equal(rw_schedule_find(rw_schedule_registry[i]->name), rw_schedule_registry[i]);
    assert_null(rw_optimizer_find("adam w"));
    assert_null(rw_schedule_find(""));
}

static void adamw_formula(int step, double g, double w[1], double m[1], double v[1])
{
    const double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, lr = 0.01, decay = 0.1;
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    const double mean = *m / (1 - pow(beta1, step)), square = *v / (1 - pow(beta2, step));
    *w = *w - lr * decay * *w - lr * mean / (sqrt(square) + eps);
}

static void sgd_formula(int step, double g, double w[1], double m[1], double v[1])
{
    (void)step;
    (void)v;
    *m = 0.9 * *m + g;
    *w = *w - 0.01 * 0.1 * *w - 0.01 * *m;
}

static void nesterov_formula(int step, double g, double w[1], double m[1], double v[1])
{
    (void)step;
    (void)v;
    *m = 0.9 * *m + g;
    *w = *w - 0.01 * 0.1 * *w - 0.01 * (g + 0.9 * *m);
}

typedef void formula(int step, double g, double w[1], double m[1], double v[1]);

static void check_formula(const char *name, const char *keys, formula *expected)
{
    static real w[N], g[N], m[N], v[N];
    static double w2[N], m2[N], v2[N];
    const rw_optimizer *optimizer = rw_optimizer_find(name);
    double hyper[RW_MAX_HYPER] = {0};
    rw_config *config = optimizer_config(name, keys);
    optimizer->setup(config, hyper);
    rw_config_destroy(&config);
    fill(1, N, w);
    for (int i = 0; i < N; i++) w2[i] = w[i], m[i] = v[i] = 0, m2[i] = v2[i] = 0;
    for (int step = 1; step <= 20; step++) {
        fill((uint64_t)(100 + step), N, g);
        optimizer->update(hyper, (uint64_t)step, 0.01, 0.1, N, w, g, (real *[]){m, v});
        for (int i = 0; i < N; i++) expected(step, g[i], &w2[i], &m2[i], &v2[i]);
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs(w[i] - w2[i]) < 40 * EPSILON);
        assert_true(fabs(m[i] - m2[i]) < 100 * EPSILON);
        assert_true(fabs(v[i] - v2[i]) < 100 * EPSILON);
    }
}

static void optimizers_follow_their_formulas(void **state)
{
    (void)state;
    check_formula("adamw", "", adamw_formula);
    check_formula("sgd", "", sgd_formula);
    check_formula("sgd", "nesterov: true\n", nesterov_formula);
}

static void every_optimizer_gives_the_same_bits_on_any_partition(void **state)
{
    (void)state;
    static real w[2][N], g[N], m[2][N], v[2][N];
    for (int o = 0; rw_optimizer_registry[o]; o++) {
        const rw_optimizer *optimizer = rw_optimizer_registry[o];
        double hyper[RW_MAX_HYPER] = {0};
        rw_config *config = optimizer_config(optimizer->name, "");
        optimizer->setup(config, hyper);
        rw_config_destroy(&config);
        for (int k = 0; k < 2; k++) fill(1, N, w[k]);
        memset(m, 0, sizeof m);
        memset(v, 0, sizeof v);
        for (uint64_t step = 1; step <= 5; step++) {
            fill(200 + step, N, g);
            optimizer->update(hyper, step, 0.1, 0.1, N, w[0], g, (real *[]){m[0], v[0]});
            for (long begin = 0, n; begin < N; begin += n) {
                n = 1 + (long)rw_random_below(rw_random_stream(3, RW_RANDOM_TEST, step),
                                              (uint64_t)begin, 40);
                if (n > N - begin) n = N - begin;
                optimizer->update(hyper, step, 0.1, 0.1, n, w[1] + begin, g + begin,
                                  (real *[]){m[1] + begin, v[1] + begin});
            }
        }
        assert_memory_equal(w[0], w[1], sizeof w[0]);
        assert_memory_equal(m[0], m[1], sizeof m[0]);
        assert_memory_equal(v[0], v[1], sizeof v[0]);
    }
}

/* sum_i a_i (w_i - b_i)^2 / 2 with a_i in [0.1, 1]; also its gradient. */
static double quadratic(const real *w, real *g)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        const double a = 0.1 + 0.9 * i / N, d = w[i] - normal(5, i);
        g[i] = (real)(a * d);
        sum += a * d * d / 2;
    }
    return sum;
}

static void every_optimizer_lowers_a_quadratic(void **state)
{
    (void)state;
    static real w[N], g[N];
    for (int o = 0; rw_optimizer_registry[o]; o++) {
        memset(w, 0, sizeof w);
        const rw_trained tensor = {"w", N, w, g, 1, true};
        rw_updater *updater =
            updater_of(rw_optimizer_registry[o]->name, "weight_decay: 0\nclip: 0\n", &tensor, 1);
        const double before = quadratic(w, g);
        for (uint64_t step = 0; step < 100; step++) {
            rw_updater_step(updater, step, 0.05, rw_updater_norm(updater));
            quadratic(w, g);
        }
        assert_true(quadratic(w, g) < 0.05 * before);
        rw_updater_destroy(&updater);
        assert_null(updater);
    }
}

/* ---- update of a model ---- */

/* Three tensors with sizes around the blocks of the update. */
#define TENSORS 3
static const long sizes[TENSORS] = {9001, 1, 4096};
static const char *const names[TENSORS] = {"blocks.0.in.weight", "bias", "embedding.weight"};
typedef struct {
    real weights[TENSORS][9001], gradient[TENSORS][9001];
    rw_trained trained[TENSORS];
} model;

static model *new_model(void)
{
    model *new;
    assert_int_equal(rw_alloc(1, sizeof *new, "a test model", &new), RW_OK);
    for (int i = 0; i < TENSORS; i++) {
        fill(20 + (uint64_t)i, sizes[i], new->weights[i]);
        fill(30 + (uint64_t)i, sizes[i], new->gradient[i]);
        new->trained[i] =
            (rw_trained){names[i], sizes[i], new->weights[i], new->gradient[i], 1, true};
    }
    return new;
}

static void norm_is_exact_and_the_same_for_any_threads(void **state)
{
    (void)state;
    model *one = new_model();
    rw_updater *updater = updater_of("sgd", "", one->trained, TENSORS);
    long double sum = 0;
    for (int k = 0; k < TENSORS; k++)
        for (long i = 0; i < sizes[k]; i++)
            sum += (long double)one->gradient[k][i] * one->gradient[k][i];
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const double norm = rw_updater_norm(updater);
    assert_true(fabs(norm - (double)sqrtl(sum)) < 1e-13 * norm);
    for (int t = 2; t <= 4; t++) {
        omp_set_num_threads(t);
        assert_true(rw_updater_norm(updater) == norm);
    }
    omp_set_num_threads(threads);
    one->gradient[0][5000] = NAN;
    assert_true(isnan(rw_updater_norm(updater)));
    one->gradient[0][5000] = INFINITY;
    assert_true(isinf(rw_updater_norm(updater)));
    rw_updater_destroy(&updater);
    rw_free(&one);
}

#define PLAIN_SGD "momentum: 0\nweight_decay: 0\n" /* w -= lr g */

static void clipping_scales_long_gradients_only(void **state)
{
    (void)state;
    model *one = new_model(), *before = new_model();
    rw_updater *updater = updater_of("sgd", PLAIN_SGD "clip: 2\n", one->trained, TENSORS);
    const double norm = rw_updater_norm(updater);
    assert_true(norm > 2);
    rw_updater_step(updater, 0, 1, norm);
    double sum = 0;
    for (int k = 0; k < TENSORS; k++)
        for (long i = 0; i < sizes[k]; i++)
            sum += pow((double)before->weights[k][i] - one->weights[k][i], 2);
    assert_true(fabs(sqrt(sum) - 2) < 2e3 * EPSILON);

    memcpy(one->weights, before->weights, sizeof one->weights);
    rw_updater_step(updater, 1, 1, 1.5); /* as if it were short */
    for (int k = 0; k < TENSORS; k++)
        for (long i = 0; i < sizes[k]; i++)
            assert_true(one->weights[k][i] == before->weights[k][i] - one->gradient[k][i]);
    rw_updater_destroy(&updater);
    rw_free(&one);
    rw_free(&before);
}

static void groups_have_their_own_rate_and_decay(void **state)
{
    (void)state;
    model *one = new_model(), *before = new_model();
    memset(one->gradient, 0, sizeof one->gradient);
    one->trained[0].lr_factor = 0.25;
    one->trained[1].decay_factor = 0;
    one->trained[2].decay_factor = 0.5;
    for (int o = 0; rw_optimizer_registry[o]; o++) {
        memcpy(one->weights, before->weights, sizeof one->weights);
        rw_updater *updater = updater_of(rw_optimizer_registry[o]->name, "weight_decay: 0.5\n",
                                         one->trained, TENSORS);
        rw_updater_step(updater, 0, 0.1, rw_updater_norm(updater));
        const double keep[TENSORS] = {1 - 0.1 * 0.25 * 0.5, 1, 1 - 0.1 * 0.5 * 0.5};
        for (int k = 0; k < TENSORS; k++)
            for (long i = 0; i < sizes[k]; i++)
                assert_true(fabs(one->weights[k][i] - keep[k] * before->weights[k][i]) <=
                            2 * EPSILON * fabs(before->weights[k][i]));
        rw_updater_destroy(&updater);
    }
    rw_free(&one);
    rw_free(&before);
}

static void noise_has_its_mean_and_variance(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    static real w[COUNT], g[COUNT];
    const rw_trained tensor = {"w", COUNT, w, g, 1, true};
    rw_updater *updater =
        updater_of("sgd", PLAIN_SGD "noise: 0.3\nnoise_gamma: 0.55\n", &tensor, 1);
    const uint64_t steps[] = {0, 9, 999};
    for (int s = 0; s < 3; s++) {
        memset(w, 0, sizeof w);
        rw_updater_step(updater, steps[s], 1, 0);
        double sum = 0, squares = 0;
        for (int i = 0; i < COUNT; i++) sum += w[i], squares += (double)w[i] * w[i];
        const double variance = 0.3 / pow(1 + (double)steps[s], 0.55);
        assert_true(fabs(squares / COUNT / variance - 1) < 0.03);
        assert_true(fabs(sum / COUNT) < 5 * sqrt(variance / COUNT));
    }
    rw_updater_destroy(&updater);
}

/* Three steps with noise, the tensors listed from `first` on, cyclically. */
static model *noisy_run(int threads, int first)
{
    model *one = new_model();
    rw_trained listed[TENSORS];
    for (int i = 0; i < TENSORS; i++) listed[i] = one->trained[(first + i) % TENSORS];
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    rw_updater *updater = updater_of("adamw", "noise: 0.1\n", listed, TENSORS);
    for (uint64_t step = 0; step < 3; step++) rw_updater_step(updater, step, 0.1, 5);
    rw_updater_destroy(&updater);
    omp_set_num_threads(before);
    return one;
}

static void noise_does_not_depend_on_threads_or_order(void **state)
{
    (void)state;
    model *reference = noisy_run(1, 0);
    for (int i = 1; i < TENSORS; i++) {
        model *other = noisy_run(1 + i, i);
        assert_memory_equal(other->weights, reference->weights, sizeof other->weights);
        rw_free(&other);
    }
    rw_free(&reference);
}

static void noise_differs_between_tensors_steps_and_elements(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static real w[2][COUNT], g[COUNT], first[COUNT];
    const rw_trained tensors[] = {{"a", COUNT, w[0], g, 1, true}, {"b", COUNT, w[1], g, 1, true}};
    rw_updater *updater = updater_of("sgd", PLAIN_SGD "noise: 1\nnoise_gamma: 0\n", tensors, 2);
    memset(w, 0, sizeof w);
    rw_updater_step(updater, 0, 1, 0);
    memcpy(first, w[0], sizeof first);
    double between_tensors = 0, between_elements = 0, between_steps = 0;
    for (int i = 0; i < COUNT; i++) between_tensors += w[0][i] * w[1][i] / COUNT;
    for (int i = 1; i < COUNT; i++) between_elements += w[0][i] * w[0][i - 1] / COUNT;
    memset(w, 0, sizeof w);
    rw_updater_step(updater, 1, 1, 0);
    for (int i = 0; i < COUNT; i++) between_steps += w[0][i] * first[i] / COUNT;
    assert_true(fabs(between_tensors) < 5 / sqrt(COUNT));
    assert_true(fabs(between_elements) < 5 / sqrt(COUNT));
    assert_true(fabs(between_steps) < 5 / sqrt(COUNT));
    rw_updater_destroy(&updater);
}

static void a_step_without_a_finite_norm_changes_nothing(void **state)
{
    (void)state;
    model *one = new_model(), *before = new_model();
    rw_updater *updater = updater_of("adamw", "noise: 1\n", one->trained, TENSORS);
    rw_updater_step(updater, 0, 1, NAN);
    rw_updater_step(updater, 0, 1, INFINITY);
    assert_memory_equal(one->weights, before->weights, sizeof one->weights);
    for (int k = 0; k < rw_updater_moments(updater); k++)
        assert_true(rw_updater_moment(updater, 0, k)[17] == 0);
    rw_updater_destroy(&updater);
    rw_free(&one);
    rw_free(&before);
}

/* A run that is stopped and continued in another updater, moments handed over. */
static void moments_carry_the_whole_state(void **state)
{
    (void)state;
    for (int o = 0; rw_optimizer_registry[o]; o++) {
        const char *name = rw_optimizer_registry[o]->name;
        model *whole = new_model(), *parts = new_model();
        rw_updater *a = updater_of(name, "", whole->trained, TENSORS);
        rw_updater *b = updater_of(name, "", parts->trained, TENSORS);
        for (uint64_t step = 0; step < 6; step++) {
            rw_updater_step(a, step, 0.1, 1);
            if (step == 3) {
                rw_updater *next = updater_of(name, "", parts->trained, TENSORS);
                for (int i = 0; i < TENSORS; i++)
                    for (int k = 0; k < rw_updater_moments(b); k++)
                        memcpy(rw_updater_moment(next, i, k), rw_updater_moment(b, i, k),
                               (size_t)sizes[i] * sizeof(real));
                rw_updater_destroy(&b);
                b = next;
            }
            rw_updater_step(b, step, 0.1, 1);
        }
        assert_memory_equal(whole->weights, parts->weights, sizeof whole->weights);
        assert_string_equal(rw_updater_moment_name(a, 0), "m");
        rw_updater_destroy(&a);
        rw_updater_destroy(&b);
        rw_free(&whole);
        rw_free(&parts);
    }
}

/* Updaters that share the tensors among them, cut anywhere, do what one does;
 * together they have as many moments. */
static void parts_give_the_bits_of_the_whole(void **state)
{
    (void)state;
    const long cuts[TENSORS][4] = {{0, 4097, 4097, 9001}, {0, 0, 1, 1}, {0, 16, 4000, 4096}};
    for (int o = 0; rw_optimizer_registry[o]; o++) {
        const char *name = rw_optimizer_registry[o]->name;
        model *together = new_model(), *shared = new_model();
        rw_updater *one = updater_of(name, "noise: 0.1\n", together->trained, TENSORS), *each[3];
        rw_config *config = optimizer_config(name, "noise: 0.1\n");
        for (int k = 0; k < 3; k++) {
            rw_part part[TENSORS];
            for (int i = 0; i < TENSORS; i++) part[i] = (rw_part){cuts[i][k], cuts[i][k + 1]};
            assert_int_equal(rw_updater_new(config, 11, shared->trained, TENSORS, part, &each[k]),
                             RW_OK);
        }
        for (uint64_t step = 0; step < 3; step++) {
            rw_updater_step(one, step, 0.1, 5);
            for (int k = 0; k < 3; k++) rw_updater_step(each[k], step, 0.1, 5);
        }
        assert_memory_equal(shared->weights, together->weights, sizeof shared->weights);
        for (int i = 0; i < TENSORS; i++)
            for (int k = 0; k < 3; k++) {
                rw_part part = rw_updater_part(each[k], i);
                assert_int_equal(part.begin, cuts[i][k]);
                assert_memory_equal(rw_updater_moment(each[k], i, 0),
                                    rw_updater_moment(one, i, 0) + part.begin,
                                    (size_t)(part.end - part.begin) * sizeof(real));
            }
        for (int k = 0; k < 3; k++) rw_updater_destroy(&each[k]);
        rw_updater_destroy(&one);
        rw_config_destroy(&config);
        rw_free(&together);
        rw_free(&shared);
    }
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    model *one = new_model();
    rw_updater *updater = updater_of("adamw", "noise: 1\n", one->trained, TENSORS);
    const size_t before = rw_memory_allocations();
    rw_updater_step(updater, 0, 0.1, rw_updater_norm(updater));
    assert_int_equal(rw_memory_allocations(), before);
    rw_updater_destroy(&updater);
    rw_free(&one);
}

static void failing_allocations_are_errors_and_leak_nothing(void **state)
{
    (void)state;
    model *one = new_model();
    rw_config *config = optimizer_config("adamw", "");
    const size_t before = rw_memory_in_use();
    rw_status status = RW_ERROR;
    long n = 0;
    while (status != RW_OK) {
        rw_updater *updater = NULL;
        rw_clear_message();
        rw_memory_fail_after(++n);
        status = rw_updater_new(config, 1, one->trained, TENSORS, NULL, &updater);
        rw_memory_fail_after(0);
        if (status == RW_OK)
            rw_updater_destroy(&updater);
        else
            assert_non_null(strstr(rw_message(), "out of memory"));
        assert_null(updater);
        assert_int_equal(rw_memory_in_use(), before);
        assert_true(n < 20);
    }
    assert_true(n > 1);
    rw_config_destroy(&config);
    rw_free(&one);
}

static void an_unknown_optimizer_is_named(void **state)
{
    (void)state;
    model *one = new_model();
    rw_updater *updater = NULL;
    rw_config *config = parse("name: adamm\n", rw_update_keys, rw_optimizer_find("adamw")->keys);
    assert_int_equal(rw_updater_new(config, 1, one->trained, TENSORS, NULL, &updater), RW_USAGE);
    assert_null(updater);
    assert_non_null(strstr(rw_message(), "adamm"));
    assert_non_null(strstr(rw_message(), "adamw"));
    rw_clear_message();
    rw_config_destroy(&config);
    rw_free(&one);
}

/* ---- schedules ---- */

static void every_schedule_starts_at_the_peak_and_is_continuous(void **state)
{
    (void)state;
    const uint64_t steps = 10000, warmup = 100;
    for (int s = 0; rw_schedule_registry[s]; s++) {
        const rw_schedule *schedule = rw_schedule_registry[s];
        rw_config *config = schedule_config(schedule->name, "warmup: 100\n");
        assert_true(rw_schedule_at(schedule, config, warmup - 1, steps) == 1);
        assert_true(rw_schedule_at(schedule, config, warmup, steps) == 1);
        for (uint64_t step = warmup; step < steps + 10; step++) {
            const double here = rw_schedule_at(schedule, config, step, steps);
            const double next = rw_schedule_at(schedule, config, step + 1, steps);
            assert_true(next >= 0 && next <= here && here <= 1);
            assert_true(here - next < 0.03);
        }
        assert_true(rw_schedule_at(schedule, config, steps - 1, steps) > 0);
        rw_config_destroy(&config);
    }
}

static void warm_up_is_linear_and_common_to_all(void **state)
{
    (void)state;
    for (int s = 0; rw_schedule_registry[s]; s++) {
        const rw_schedule *schedule = rw_schedule_registry[s];
        rw_config *config = schedule_config(schedule->name, "warmup: 8\n");
        for (uint64_t step = 0; step < 8; step++) {
            assert_true(rw_schedule_at(schedule, config, step, 20) == (double)(step + 1) / 8);
            assert_true(rw_schedule_at(schedule, config, step, 4) == (double)(step + 1) / 8);
        }
        assert_true(rw_schedule_at(schedule, config, 9, 8) == 1);
        rw_config_destroy(&config);
        config = schedule_config(schedule->name, "");
        assert_true(rw_schedule_at(schedule, config, 0, 20) == 1);
        rw_config_destroy(&config);
    }
}

static double factor_of(const char *name, const char *keys, double progress)
{
    const rw_schedule *schedule = rw_schedule_find(name);
    rw_config *config = schedule_config(name, keys);
    const double factor = schedule->factor(config, progress);
    rw_config_destroy(&config);
    return factor;
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) < 1e-12)) fail_msg("%.17g is not %.17g", a, b);
}

static void schedules_pass_through_their_points(void **state)
{
    (void)state;
    assert_near(factor_of("constant", "", 1), 1);
    assert_near(factor_of("cosine", "", 1), 0.1);
    assert_near(factor_of("cosine", "final: 0\n", 0.5), 0.5);
    assert_near(factor_of("cosine", "final: 0.5\n", 1.0 / 3), 0.875);
    assert_near(factor_of("wsd", "", 0.8), 1);
    assert_near(factor_of("wsd", "", 0.85), 0.5);
    assert_near(factor_of("wsd", "", 1), 0);
    assert_near(factor_of("wsd", "shape: linear\nfinal: 0.2\ndecay: 0.5\n", 0.75), 0.6);
    assert_near(factor_of("wsd", "shape: linear\nfinal: 0.2\ndecay: 0.5\n", 1), 0.2);
    assert_near(factor_of("wsd", "decay: 1\n", 0.25), 0.5);
    assert_near(factor_of("wsd", "decay: 0\n", 1), 1);
    assert_true(factor_of("wsd", "", 1) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_knows_the_registry_only),
        cmocka_unit_test(optimizers_follow_their_formulas),
        cmocka_unit_test(every_optimizer_gives_the_same_bits_on_any_partition),
        cmocka_unit_test(every_optimizer_lowers_a_quadratic),
        cmocka_unit_test(norm_is_exact_and_the_same_for_any_threads),
        cmocka_unit_test(clipping_scales_long_gradients_only),
        cmocka_unit_test(groups_have_their_own_rate_and_decay),
        cmocka_unit_test(noise_has_its_mean_and_variance),
        cmocka_unit_test(noise_does_not_depend_on_threads_or_order),
        cmocka_unit_test(noise_differs_between_tensors_steps_and_elements),
        cmocka_unit_test(a_step_without_a_finite_norm_changes_nothing),
        cmocka_unit_test(moments_carry_the_whole_state),
        cmocka_unit_test(parts_give_the_bits_of_the_whole),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(failing_allocations_are_errors_and_leak_nothing),
        cmocka_unit_test(an_unknown_optimizer_is_named),
        cmocka_unit_test(every_schedule_starts_at_the_peak_and_is_continuous),
        cmocka_unit_test(warm_up_is_linear_and_common_to_all),
        cmocka_unit_test(schedules_pass_through_their_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
