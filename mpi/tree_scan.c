#include "mpi/tree_scan.h"

#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* Where a node's value lies: >= 0 a slot of the work area; LEAF - i: that of
 * local chunk i; NOWHERE: not known yet. */
enum { NOWHERE = -1, LEAF = -2 };

/* dst = left o right, two neighbours at `level`. */
typedef struct {
    int level;
    long left, right, slot;
} combination;

/* value(target) = A_node value(from) + b_node; from -1: zero. */
typedef struct {
    int level;
    long node, from, target;
} step;

/* What one direction does. */
typedef struct {
    combination *combinations; /* the first `local` of them before the exchange */
    step *steps;
    long local, combination_count, step_count;
    size_t combination_capacity, step_capacity;
    long *sent;  /* where this rank's maximal nodes lie, in the order they are sent */
    int *counts; /* maximal nodes of each rank of sp_comm */
    long slots, spares;
} direction;

struct rw_scan {
    const rw_layout *layout;
    long sequences; /* of the run under way */
    long chunks, local;
    rw_range own;
    rw_tree tree;        /* over the chunks of one sequence */
    direction way[2];    /* forward, mirrored */
    int *bytes, *places; /* of the exchange, a rank each */
    real *nodes;         /* (slots, sequences, map + state + 1): the last is 1 if cut */
    real *values;        /* (spares, sequences, state): of chunks of other ranks */
    real *send;
};

/* ---- Planning ---------------------------------------------------------- */

typedef struct {
    rw_scan *scan;
    direction *way;
    bool mirrored;
    long **place; /* [level][index]: where the node's value lies */
    long *spare;  /* [chunk]: place of the value of another rank's chunk, or NOWHERE */
} builder;

/* Chunks of rank `rank` whose sums this direction can use: the last one's
 * (mirrored: the first one's) goes nowhere. */
static rw_range usable(const builder *b, int rank)
{
    rw_range r = rw_split(b->scan->chunks, b->scan->layout->sp, rank);
    if (!b->mirrored && r.end == b->scan->chunks) r.end--;
    if (b->mirrored && r.begin == 0) r.begin++;
    return r;
}

static rw_status place_of(builder *b, int level, long index, long *place)
{
    long *known = &b->place[level][index];
    if (*known == NOWHERE) {
        long left, right;
        RW_TRY(place_of(b, level - 1, 2 * index, &left));
        if (rw_tree_empty(&b->scan->tree, level - 1, 2 * index + 1)) {
            *known = left;
        } else {
            RW_TRY(place_of(b, level - 1, 2 * index + 1, &right));
            direction *d = b->way;
            RW_TRY(rw_grow(&d->combinations, &d->combination_capacity,
                           (size_t)d->combination_count + 1, sizeof *d->combinations));
            *known = d->slots++;
            d->combinations[d->combination_count++] = (combination){level - 1, left, right, *known};
        }
    }
    *place = *known;
    return RW_OK;
}

/* Every rank's maximal nodes get a slot, in rank order; this rank's are summed
 * from its chunks. */
static rw_status plan_exchange(builder *b)
{
    rw_scan *s = b->scan;
    int sp = s->layout->sp;
    rw_tree_node nodes[128];
    for (int q = 0; q < sp && sp > 1; q++) {
        rw_range r = usable(b, q);
        rw_tree_stack stack = {nodes, 0, 128};
        for (long c = r.begin; c < r.end; c++)
            rw_tree_push(&s->tree, &stack, (rw_tree_node){0, c, 0}, NULL, NULL);
        b->way->counts[q] = stack.depth;
        for (int i = 0; i < stack.depth; i++, b->way->slots++)
            if (q != s->layout->sp_rank) b->place[nodes[i].level][nodes[i].index] = b->way->slots;
    }
    rw_range r = usable(b, s->layout->sp_rank);
    rw_tree_stack stack = {nodes, 0, 128};
    for (long c = r.begin; c < r.end; c++)
        rw_tree_push(&s->tree, &stack, (rw_tree_node){0, c, 0}, NULL, NULL);
    RW_TRY(rw_alloc((size_t)stack.depth + 1, sizeof *b->way->sent, "a scan", &b->way->sent));
    for (int i = 0; sp > 1 && i < stack.depth; i++)
        RW_TRY(place_of(b, nodes[i].level, nodes[i].index, &b->way->sent[i]));
    b->way->local = b->way->combination_count;
    return RW_OK;
}

/* Plans the value of chunk `target`; chunks of other ranks that it needs come
 * first and are kept in spare places: chunks + i. */
static rw_status plan_value(builder *b, long target, long target_place)
{
    rw_scan *s = b->scan;
    direction *d = b->way;
    long at = b->mirrored ? target + 1 : target;
    step st = {.level = __builtin_ctzl((unsigned long)at), .target = target_place};
    long span = 1L << st.level;
    long from = b->mirrored ? at + span - 1 : at - span;
    RW_TRY(place_of(b, st.level, (at >> st.level) - (b->mirrored ? 0 : 1), &st.node));
    st.from = from - s->own.begin;
    if (b->mirrored ? from >= s->chunks - 1 : from == 0) {
        st.from = NOWHERE;
    } else if (from < s->own.begin || from >= s->own.end) {
        if (b->spare[from] == NOWHERE) {
            b->spare[from] = s->local + d->spares++;
            RW_TRY(plan_value(b, from, b->spare[from]));
        }
        st.from = b->spare[from];
    }
    RW_TRY(rw_grow(&d->steps, &d->step_capacity, (size_t)d->step_count + 1, sizeof st));
    d->steps[d->step_count++] = st;
    return RW_OK;
}

static rw_status plan_direction(builder *b)
{
    rw_scan *s = b->scan;
    for (int level = 0; level <= s->tree.inner; level++)
        for (long i = 0; i < 1L << (s->tree.inner - level); i++) b->place[level][i] = NOWHERE;
    for (long i = 0; i < s->local; i++) b->place[0][s->own.begin + i] = LEAF - i;
    for (long c = 0; c < s->chunks; c++) b->spare[c] = NOWHERE;
    RW_TRY(plan_exchange(b));
    for (long i = 0; i < s->local; i++) {
        long c = b->mirrored ? s->own.end - 1 - i : s->own.begin + i;
        if (c != (b->mirrored ? s->chunks - 1 : 0)) RW_TRY(plan_value(b, c, c - s->own.begin));
    }
    return RW_OK;
}

static rw_status plan_both(rw_scan *s)
{
    rw_status status = RW_OK;
    long *table = NULL, *spare = NULL, *level_of[64];
    RW_TRY_DONE(rw_alloc(2UL << s->tree.inner, sizeof *table, "a scan", &table));
    RW_TRY_DONE(rw_alloc((size_t)s->chunks, sizeof *spare, "a scan", &spare));
    long *next = table;
    for (int level = 0; level <= s->tree.inner; level++) {
        level_of[level] = next;
        next += 1L << (s->tree.inner - level);
    }
    for (int i = 0; i < 2; i++) {
        builder b = {s, &s->way[i], i == 1, level_of, spare};
        RW_TRY_DONE(rw_alloc((size_t)s->layout->sp, sizeof(int), "a scan", &s->way[i].counts));
        RW_TRY_DONE(plan_direction(&b));
    }
done:
    rw_free(&table);
    rw_free(&spare);
    return status;
}

/* The all-gather counts what it receives in one int. */
static rw_status check_exchange(const rw_layout *layout, const direction *d, size_t node)
{
    double nodes = 0;
    for (int q = 0; q < layout->sp; q++) nodes += d->counts[q];
    return rw_check_message(nodes * (double)node, "the states of a mixer at the ends of ranks",
                            "use a larger train.accumulate, or more ranks for dp");
}

rw_status rw_scan_new(const rw_layout *layout, long sequences, long chunks, size_t map,
                      size_t state, rw_scan **out)
{
    rw_status status = RW_OK;
    rw_scan *s = NULL;
    RW_TRY(rw_alloc(1, sizeof *s, "a scan", &s));
    s->layout = layout;
    s->chunks = chunks;
    s->own = rw_split(chunks, layout->sp, layout->sp_rank);
    s->local = s->own.end - s->own.begin;
    s->tree = rw_tree_of(1, chunks);
    RW_TRY_DONE(plan_both(s));
    size_t slots = 0, spares = 0, sent = 0, n = (size_t)sequences * (map + state + 1);
    for (int i = 0; i < 2; i++) {
        RW_TRY_DONE(check_exchange(layout, &s->way[i], n));
        if ((size_t)s->way[i].slots > slots) slots = (size_t)s->way[i].slots;
        if ((size_t)s->way[i].spares > spares) spares = (size_t)s->way[i].spares;
        size_t own = (size_t)s->way[i].counts[layout->sp_rank];
        if (own > sent) sent = own;
    }
    RW_TRY_DONE(rw_alloc(slots * n, sizeof(real), "sums on the chunk tree", &s->nodes));
    RW_TRY_DONE(rw_alloc(spares * n, sizeof(real), "states of other ranks", &s->values));
    RW_TRY_DONE(rw_alloc(sent * n, sizeof(real), "sums to send", &s->send));
    RW_TRY_DONE(rw_alloc(2 * (size_t)layout->sp, sizeof(int), "a scan", &s->bytes));
    s->places = s->bytes + layout->sp;
done:
    if (status != RW_OK) rw_scan_destroy(&s);
    *out = s;
    return status;
}

void rw_scan_destroy(rw_scan **scan)
{
    rw_scan *s = *scan;
    if (!s) return;
    for (int i = 0; i < 2; i++) {
        rw_free(&s->way[i].combinations);
        rw_free(&s->way[i].steps);
        rw_free(&s->way[i].sent);
        rw_free(&s->way[i].counts);
    }
    rw_free(&s->nodes);
    rw_free(&s->values);
    rw_free(&s->send);
    rw_free(&s->bytes);
    rw_free(scan);
}

/* ---- Running ----------------------------------------------------------- */

typedef struct {
    rw_scan *scan;
    const rw_affine *affine;
    const uint8_t *cut;
    const real *map, *part;
    real *out;
} run;

/* Reals of a node in the work area. */
static size_t record(const run *r)
{
    return r->affine->map + r->affine->state + 1;
}

static real *node_at(const run *r, long place, long b)
{
    return r->scan->nodes + (size_t)(place * r->scan->sequences + b) * record(r);
}

static bool is_cut(const run *r, long place, long b)
{
    if (place <= LEAF) return r->cut && r->cut[b * r->scan->local + LEAF - place];
    return node_at(r, place, b)[record(r) - 1] != 0;
}

static const real *map_at(const run *r, long place, long b)
{
    if (!r->affine->map) return NULL;
    if (place <= LEAF) return r->map + (size_t)(b * r->scan->local + LEAF - place) * r->affine->map;
    return node_at(r, place, b);
}

static const real *state_at(const run *r, long place, long b)
{
    if (place <= LEAF)
        return r->part + (size_t)(b * r->scan->local + LEAF - place) * r->affine->state;
    return node_at(r, place, b) + r->affine->map;
}

static real *value_at(const run *r, long place, long b)
{
    rw_scan *s = r->scan;
    if (place < s->local) return r->out + (size_t)(b * s->local + place) * r->affine->state;
    return s->values + (size_t)((place - s->local) * s->sequences + b) * r->affine->state;
}

static void combine(const run *r, const direction *d, bool mirrored, long first, long last, long b,
                    int begin, int end)
{
    const rw_affine *a = r->affine;
    for (long i = first; i < last; i++) {
        const combination *c = &d->combinations[i];
        long outer = mirrored ? c->right : c->left, inner = mirrored ? c->left : c->right;
        const real *from = is_cut(r, inner, b) ? NULL : state_at(r, outer, b);
        a->advance(a->context, map_at(r, inner, b), c->level, mirrored, begin, end, from,
                   state_at(r, inner, b), node_at(r, c->slot, b) + a->map);
    }
}

/* Maps and cuts of the combined nodes: small, and needed by all lanes. */
static void compose_maps(const run *r, const direction *d, long first, long last, long b)
{
    for (long i = first; i < last; i++) {
        const combination *c = &d->combinations[i];
        node_at(r, c->slot, b)[record(r) - 1] = is_cut(r, c->left, b) || is_cut(r, c->right, b);
        if (!r->affine->map) continue;
        r->affine->compose(r->affine->context, map_at(r, c->left, b), map_at(r, c->right, b),
                           node_at(r, c->slot, b));
    }
}

static void step_values(const run *r, const direction *d, bool mirrored, long b, int begin, int end)
{
    const rw_affine *a = r->affine;
    for (long i = 0; i < d->step_count; i++) {
        const step *st = &d->steps[i];
        bool zero = st->from == NOWHERE || is_cut(r, st->node, b);
        a->advance(a->context, map_at(r, st->node, b), st->level, mirrored, begin, end,
                   zero ? NULL : value_at(r, st->from, b), state_at(r, st->node, b),
                   value_at(r, st->target, b));
    }
}

/* Runs combinations [first, last), and the steps if asked, over all sequences:
 * threads share sequences and lanes. */
static void run_part(const run *r, const direction *d, bool mirrored, long first, long last,
                     bool steps)
{
    long sequences = r->scan->sequences;
    int lanes = r->affine->lanes, threads = omp_get_max_threads();
    int parts = sequences ? (int)((threads + sequences - 1) / sequences) : 1;
    if (parts > lanes) parts = lanes;
    for (long b = 0; b < sequences; b++) compose_maps(r, d, first, last, b);
#pragma omp parallel for collapse(2) schedule(static)
    for (long b = 0; b < sequences; b++)
        for (int p = 0; p < parts; p++) {
            rw_range lane = rw_split(lanes, parts, p);
            combine(r, d, mirrored, first, last, b, (int)lane.begin, (int)lane.end);
            if (steps) step_values(r, d, mirrored, b, (int)lane.begin, (int)lane.end);
        }
}

/* All-gathers the maximal nodes of the ranks that share these sequences. */
static void exchange(const run *r, const direction *d)
{
    rw_scan *s = r->scan;
    double start = rw_comm_begin();
    size_t map = r->affine->map, n = record(r);
    int sp = s->layout->sp, me = s->layout->sp_rank, place = 0;
    int each = (int)(n * (size_t)s->sequences);
    for (int q = 0; q < sp; q++) {
        s->bytes[q] = d->counts[q] * each;
        s->places[q] = place;
        place += s->bytes[q];
    }
    for (int i = 0; i < d->counts[me]; i++)
        for (long b = 0; b < s->sequences; b++) {
            real *to = s->send + (size_t)(i * s->sequences + b) * n;
            if (map) memcpy(to, map_at(r, d->sent[i], b), map * sizeof(real));
            memcpy(to + map, state_at(r, d->sent[i], b), r->affine->state * sizeof(real));
            to[n - 1] = is_cut(r, d->sent[i], b);
        }
    MPI_Allgatherv(s->send, s->bytes[me], RW_MPI_REAL, s->nodes, s->bytes, s->places, RW_MPI_REAL,
                   s->layout->sp_comm);
    rw_comm_end_blocking(start, (double)sizeof(real) * s->bytes[me] * (sp - 1));
}

void rw_scan_run(rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored,
                 const uint8_t *cut, const real *map, const real *part, real *out)
{
    scan->sequences = sequences;
    const direction *d = &scan->way[mirrored];
    run r = {scan, affine, cut, map, part, out};
    if (scan->layout->sp == 1) {
        run_part(&r, d, mirrored, 0, d->combination_count, true);
        return;
    }
    run_part(&r, d, mirrored, 0, d->local, false);
    exchange(&r, d);
    run_part(&r, d, mirrored, d->local, d->combination_count, true);
}

size_t rw_scan_bytes(const rw_scan *s, const rw_affine *affine, long sequences, bool mirrored)
{
    size_t nodes = (size_t)s->way[mirrored].counts[s->layout->sp_rank];
    size_t each = (affine->map + affine->state + 1) * (size_t)sequences * sizeof(real);
    return (size_t)(s->layout->sp - 1) * nodes * each;
}
