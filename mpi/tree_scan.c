/* Declared in mpi/tree_scan.h. Example: chunks 0 and 1 on rank 0, chunks 2 and 3 on rank 1,
 * forward:
 *
 *   rw_scan_new
 *     plan_exchange     turn 0: rank 0 combines chunks 0 and 1 to node (1, 0) and sends the node
 *     plan_value        rank 0: h_1 = A_(0,0) h_0 + b_(0,0)
 *                       rank 1: h_2 = A_(1,0) h_0 + b_(1,0), h_3 = A_(0,2) h_2 + b_(0,2)
 *   rw_scan_start
 *     take_off          run_part: combinations before turn 0; pack; rw_swap_start
 *   rw_scan_progress    if turn 0 has ended: go_on, take_off of turn 1; here there is none
 *   rw_scan_finish      waits for the turns left
 *     run_part          the combinations left; step_values: the planned values
 */
#include "mpi/tree_scan.h"

#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "mpi/swap.h"

/* The place of a node's value: >= 0: a slot of the work area; LEAF - i: local chunk i; NOWHERE: not
 * known yet. */
enum { NOWHERE = -1, LEAF = -2 };

/* dst = left o right, two neighbours at `level`. */
typedef struct {
    int level;
    long left, right, slot;
} combination;

/* value(target) = A_node value(from) + b_node. NOWHERE among the chunks stands for the two ends: as
 * from, the initial state; as target, the final state. */
typedef struct {
    int level;
    long node, from, target;
} step;

/* An exchange of nodes with a rank, in a message each way. */
typedef struct {
    int to, from;        /* ranks of sp_comm; MPI_PROC_NULL: none */
    long combined;       /* combinations [0, combined) come before */
    long first, sent;    /* nodes sent: direction.sent[first ...] */
    long slot, received; /* place of arriving nodes: slots [slot, slot + received) */
} turn;

enum { TURNS = 32 };       /* >= log2 of the ranks */
enum { MOST_NODES = 128 }; /* maximal nodes of a range: < 2 levels of the tree */

/* The plan of a direction. */
typedef struct {
    combination *combinations;
    step *steps;
    turn turns[TURNS];
    int turn_count;
    long *sent; /* places of the sent nodes */
    long combination_count, step_count, sent_count;
    size_t combination_capacity, step_capacity, sent_capacity;
    long slots, spares;
} direction;

/* A scan in flight. */
typedef struct {
    rw_scan *scan;
    rw_affine affine;
    bool mirrored;
    const uint8_t *cut;
    rw_scan_ends ends;
    const real *transition, *part;
    real *out;
    int turn;  /* the turn to start next, or the turn in flight */
    long done; /* combinations */
    bool flying;
    rw_swap_flight flight;
} run;

struct rw_scan {
    const rw_layout *layout;
    run run;
    int tag;
    long sequences; /* of the run in flight */
    long chunks, local;
    bool whole;
    rw_range own;
    rw_tree tree;     /* over the chunks of a sequence */
    direction way[2]; /* forward, mirrored */
    real *nodes;      /* (slots, sequences, transition + state + 1): the last is 1 if cut */
    real *values;     /* (spares, sequences, state): of chunks of other ranks */
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

/* ---- The exchange: who sends what to whom ---- */

/* Ranks are counted in the direction's order: v = 0 is rank 0, mirrored the last rank. The group of
 * v at `level` are the 2^level ranks that share the higher bits of v; different groups hold
 * neighbouring ranges of chunks. In turn `level`, v and v ^ 2^level, of the two halves of a group,
 * exchange the maximal nodes of their halves. The upper half needs the nodes of the lower half for
 * its own prefixes; both halves together make the nodes of the group. */
static int order_of(const builder *b, int rank)
{
    return b->mirrored ? b->scan->layout->sp - 1 - rank : rank;
}

/* Does rank v need the nodes of its group? Rank v needs these nodes to send them: to the upper half
 * of the next larger group, or to the lower half if the lower half sends the nodes on. */
static bool needs_group(const builder *b, int v, int level)
{
    int ranks = b->scan->layout->sp, half = 1 << level;
    if (half >= ranks) return false;
    if (!(v & half)) return v + half < ranks;
    return needs_group(b, v - half, level + 1) || needs_group(b, v, level + 1);
}

/* The maximal nodes of v's group. */
static int nodes_of_group(const builder *b, int v, int level, rw_tree_node nodes[MOST_NODES])
{
    const rw_scan *s = b->scan;
    int ranks = s->layout->sp, first = v >> level << level, last = first + (1 << level);
    if (last > ranks) last = ranks;
    int low = order_of(b, b->mirrored ? last - 1 : first);
    int high = order_of(b, b->mirrored ? first : last - 1);
    rw_range begin = rw_split(s->chunks, ranks, low), end = rw_split(s->chunks, ranks, high);
    rw_tree_stack stack = {nodes, 0, MOST_NODES};
    for (long c = begin.begin; c < end.end; c++)
        rw_tree_push(&s->tree, &stack, (rw_tree_node){0, c, 0}, NULL, NULL);
    return stack.depth;
}

static rw_status plan_send(builder *b, int v, int level, turn *out)
{
    rw_tree_node nodes[MOST_NODES];
    direction *d = b->way;
    int count = nodes_of_group(b, v, level, nodes);
    RW_TRY(rw_grow(&d->sent, &d->sent_capacity, (size_t)(d->sent_count + count), sizeof *d->sent));
    for (int i = 0; i < count; i++)
        RW_TRY(place_of(b, nodes[i].level, nodes[i].index, &d->sent[d->sent_count++]));
    out->sent = count;
    return RW_OK;
}

static void plan_receive(builder *b, int v, int level, turn *out)
{
    rw_tree_node nodes[MOST_NODES];
    out->received = nodes_of_group(b, v, level, nodes);
    out->slot = b->way->slots;
    for (long i = 0; i < out->received; i++)
        b->place[nodes[i].level][nodes[i].index] = b->way->slots++;
}

static rw_status plan_exchange(builder *b)
{
    int ranks = b->scan->layout->sp, v = order_of(b, b->scan->layout->sp_rank);
    direction *d = b->way;
    for (int level = 0; 1 << level < ranks; level++) {
        int peer = v ^ (1 << level);
        bool upper = v > peer, exists = peer < ranks;
        bool sends = exists && (!upper || needs_group(b, peer, level + 1));
        bool receives = exists && (upper || needs_group(b, v, level + 1));
        if (!sends && !receives) continue;
        int rank = order_of(b, peer);
        turn t = {.to = sends ? rank : MPI_PROC_NULL,
                  .from = receives ? rank : MPI_PROC_NULL,
                  .first = d->sent_count};
        if (sends) RW_TRY(plan_send(b, v, level, &t));
        t.combined = d->combination_count;
        if (receives) plan_receive(b, peer, level, &t);
        d->turns[d->turn_count++] = t;
    }
    return RW_OK;
}

/* Plans the value of chunk `target`. Chunks of other ranks come first, in spare places: chunks + i.
 */
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
    if (s->whole && !b->mirrored && s->own.end == s->chunks)
        RW_TRY(plan_value(b, s->chunks, NOWHERE));
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
        RW_TRY_DONE(plan_direction(&b));
    }
done:
    rw_free(&table);
    rw_free(&spare);
    return status;
}

rw_status rw_scan_new(const rw_layout *layout, int tag, long sequences, long chunks,
                      size_t transition, size_t state, bool whole, rw_scan **out)
{
    rw_status status = RW_OK;
    rw_scan *s = NULL;
    RW_TRY(rw_alloc(1, sizeof *s, "a scan", &s));
    s->layout = layout;
    s->tag = tag;
    s->chunks = chunks;
    s->whole = whole;
    s->own = rw_split(chunks, layout->sp, layout->sp_rank);
    s->local = s->own.end - s->own.begin;
    s->tree = rw_tree_of(1, chunks);
    RW_TRY_DONE(plan_both(s));
    size_t slots = 0, spares = 0, sent = 0, n = (size_t)sequences * (transition + state + 1);
    for (int i = 0; i < 2; i++) {
        const direction *d = &s->way[i];
        if ((size_t)d->slots > slots) slots = (size_t)d->slots;
        if ((size_t)d->spares > spares) spares = (size_t)d->spares;
        for (int k = 0; k < d->turn_count; k++)
            if ((size_t)d->turns[k].sent > sent) sent = (size_t)d->turns[k].sent;
    }
    RW_TRY_DONE(rw_alloc(slots * n, sizeof(real), "sums on the chunk tree", &s->nodes));
    RW_TRY_DONE(rw_alloc(spares * n, sizeof(real), "states of other ranks", &s->values));
    RW_TRY_DONE(rw_alloc(sent * n, sizeof(real), "sums to send", &s->send));
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
    }
    rw_free(&s->nodes);
    rw_free(&s->values);
    rw_free(&s->send);
    rw_free(scan);
}

/* ---- Running ----------------------------------------------------------- */

/* Reals of a node in the work area. */
static size_t record(const run *r)
{
    return r->affine.transition + r->affine.state + 1;
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
    if (!r->affine.transition) return NULL;
    if (place <= LEAF)
        return r->transition + (size_t)(b * r->scan->local + LEAF - place) * r->affine.transition;
    return node_at(r, place, b);
}

static const real *state_at(const run *r, long place, long b)
{
    if (place <= LEAF)
        return r->part + (size_t)(b * r->scan->local + LEAF - place) * r->affine.state;
    return node_at(r, place, b) + r->affine.transition;
}

static real *value_at(const run *r, long place, long b)
{
    rw_scan *s = r->scan;
    if (place < s->local) return r->out + (size_t)(b * s->local + place) * r->affine.state;
    return s->values + (size_t)((place - s->local) * s->sequences + b) * r->affine.state;
}

static void combine(const run *r, const direction *d, bool mirrored, long first, long last, long b,
                    int begin, int end)
{
    const rw_affine *a = &r->affine;
    for (long i = first; i < last; i++) {
        const combination *c = &d->combinations[i];
        long outer = mirrored ? c->right : c->left, inner = mirrored ? c->left : c->right;
        const real *from = is_cut(r, inner, b) ? NULL : state_at(r, outer, b);
        a->advance(a->context, map_at(r, inner, b), c->level, mirrored, begin, end, from,
                   state_at(r, inner, b), node_at(r, c->slot, b) + a->transition);
    }
}

/* Transitions and cuts of the combined nodes: small, and needed by all slices. */
static void compose_maps(const run *r, const direction *d, long first, long last, long b)
{
    for (long i = first; i < last; i++) {
        const combination *c = &d->combinations[i];
        node_at(r, c->slot, b)[record(r) - 1] = is_cut(r, c->left, b) || is_cut(r, c->right, b);
        if (!r->affine.transition) continue;
        r->affine.compose(r->affine.context, map_at(r, c->left, b), map_at(r, c->right, b),
                          node_at(r, c->slot, b));
    }
}

static void step_values(const run *r, const direction *d, bool mirrored, long b, int begin, int end)
{
    const rw_affine *a = &r->affine;
    size_t own = (size_t)b * a->state;
    const real *initial = r->ends.initial ? r->ends.initial + own : NULL;
    for (long i = 0; i < d->step_count; i++) {
        const step *st = &d->steps[i];
        if (st->target == NOWHERE && !r->ends.final) continue;
        const real *from = st->from == NOWHERE ? initial : value_at(r, st->from, b);
        real *to = st->target == NOWHERE ? r->ends.final + own : value_at(r, st->target, b);
        a->advance(a->context, map_at(r, st->node, b), st->level, mirrored, begin, end,
                   is_cut(r, st->node, b) ? NULL : from, state_at(r, st->node, b), to);
    }
}

/* Runs combinations [first, last), and the steps if asked, over all sequences:
 * threads share sequences and slices. */
static void run_part(const run *r, const direction *d, bool mirrored, long first, long last,
                     bool steps)
{
    long sequences = r->scan->sequences;
    int slices = r->affine.slices, threads = omp_get_max_threads();
    int parts = sequences ? (int)((threads + sequences - 1) / sequences) : 1;
    if (parts > slices) parts = slices;
    for (long b = 0; b < sequences; b++) compose_maps(r, d, first, last, b);
#pragma omp parallel for collapse(2) schedule(static)
    for (long b = 0; b < sequences; b++)
        for (int p = 0; p < parts; p++) {
            rw_range slice = rw_split(slices, parts, p);
            combine(r, d, mirrored, first, last, b, (int)slice.begin, (int)slice.end);
            if (steps) step_values(r, d, mirrored, b, (int)slice.begin, (int)slice.end);
        }
}

/* Copies the nodes of a turn, in a row: (nodes, sequences, record). */
static void pack(const run *r, const direction *d, const turn *t)
{
    rw_scan *s = r->scan;
    size_t transition = r->affine.transition, n = record(r);
    real *to = s->send;
    for (long i = t->first; i < t->first + t->sent; i++)
        for (long b = 0; b < s->sequences; b++, to += n) {
            if (transition) memcpy(to, map_at(r, d->sent[i], b), transition * sizeof(real));
            memcpy(to + transition, state_at(r, d->sent[i], b), r->affine.state * sizeof(real));
            to[n - 1] = is_cut(r, d->sent[i], b);
        }
}

/* Starts the next turn. */
static void take_off(run *r)
{
    rw_scan *s = r->scan;
    const direction *d = &s->way[r->mirrored];
    const turn *t = &d->turns[r->turn];
    size_t each = record(r) * (size_t)s->sequences * sizeof(real);
    if (t->combined > r->done) run_part(r, d, r->mirrored, r->done, t->combined, false);
    r->done = t->combined;
    pack(r, d, t);
    r->flying = true;
    rw_swap_start(s->layout, s->tag, t->to, s->send, (size_t)t->sent * each, t->from,
                  node_at(r, t->slot, 0), (size_t)t->received * each, &r->flight);
}

/* After a turn: the next turn, if there is one. */
static void go_on(run *r)
{
    r->flying = false;
    if (++r->turn < r->scan->way[r->mirrored].turn_count) take_off(r);
}

void rw_scan_start(rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored,
                   const uint8_t *cut, const rw_scan_ends *ends, const real *transition,
                   const real *part, real *out)
{
    scan->sequences = sequences;
    scan->run = (run){.scan = scan,
                      .affine = *affine,
                      .mirrored = mirrored,
                      .cut = cut,
                      .ends = ends ? *ends : (rw_scan_ends){NULL, NULL},
                      .transition = transition,
                      .part = part,
                      .out = out};
    if (scan->way[mirrored].turn_count) take_off(&scan->run);
}

void rw_scan_progress(rw_scan *scan)
{
    run *r = &scan->run;
    if (r->flying && rw_swap_landed(&r->flight)) go_on(r);
}

void rw_scan_finish(rw_scan *scan)
{
    run *r = &scan->run;
    const direction *d = &scan->way[r->mirrored];
    while (r->flying) {
        rw_swap_finish(&r->flight);
        go_on(r);
    }
    run_part(r, d, r->mirrored, r->done, d->combination_count, true);
}

void rw_scan_run(rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored,
                 const uint8_t *cut, const rw_scan_ends *ends, const real *transition,
                 const real *part, real *out)
{
    rw_scan_start(scan, affine, sequences, mirrored, cut, ends, transition, part, out);
    rw_scan_finish(scan);
}

size_t rw_scan_bytes(const rw_scan *s, const rw_affine *affine, long sequences, bool mirrored)
{
    size_t each = (affine->transition + affine->state + 1) * (size_t)sequences * sizeof(real);
    return (size_t)s->way[mirrored].sent_count * each;
}
