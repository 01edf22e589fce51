#include "model/step_carry.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct rw_step_carry {
    const rw_plan *plan;
    size_t sequences; /* of this rank */
    int count;
    rw_carried *carried; /* data: in `in` */
    int *by_node;        /* number of the carried state, or -1 */
    long *rows;          /* of each carried state: the number of past rows; 1: a state */
    size_t total;        /* reals of all */
    real *in, *out;      /* (carries, local sequences, state) */
};

/* SCOPE.OP; further ones of the same op in a scope are numbered. */
static void name_carried(const rw_plan *p, int i, rw_carried *out)
{
    const rw_node *node = &p->nodes[i];
    int before = 0;
    for (int k = 0; k < i; k++)
        before += p->nodes[k].op == node->op && strcmp(p->nodes[k].scope, node->scope) == 0;
    size_t size = sizeof out->name;
    int used = snprintf(out->name, size, "%s%.50s", node->scope, node->op->name);
    if (before) snprintf(out->name + used, size - (size_t)used, ".%d", before);
}

/* Lists the carries, and where the states of each begin. */
static rw_status list_carried(rw_step_carry *s, const rw_plan *p, size_t *place)
{
    s->sequences = (size_t)(p->sequences.end - p->sequences.begin);
    for (int i = 0; i < p->node_count; i++) {
        s->by_node[i] = -1;
        if (!rw_has_carry(p->nodes[i].op)) continue;
        rw_carried *c = &s->carried[s->count];
        s->by_node[i] = s->count;
        name_carried(p, i, c);
        bool global = p->nodes[i].op->global;
        long rows = s->rows[s->count] = global ? p->places[i].past_rows : 1;
        c->state = global ? (size_t)rows * (rw_plan_input_width(&p->nodes[i]) + 1)
                          : p->nodes[i].size.state;
        place[s->count++] = s->total;
        s->total += s->sequences * c->state;
        RW_TRY(rw_check_message((double)(s->sequences * c->state), "a state between steps",
                                "use a smaller data.batch or more data-parallel ranks"));
    }
    RW_TRY(rw_alloc(s->total, sizeof(real), "states between steps", &s->in));
    RW_TRY(rw_alloc(s->total, sizeof(real), "states between steps", &s->out));
    for (int i = 0; i < s->count; i++) s->carried[i].data = s->in + place[i];
    return RW_OK;
}

rw_status rw_step_carry_new(const rw_plan *p, rw_step_carry **out)
{
    rw_status status = RW_OK;
    rw_step_carry *s = NULL;
    size_t nodes = (size_t)p->node_count, *place = NULL;
    *out = NULL;
    if (!p->options.carry) return RW_OK;
    RW_TRY_DONE(rw_alloc(1, sizeof *s, "states between steps", &s));
    RW_TRY_DONE(rw_alloc(nodes, sizeof *s->carried, "states between steps", &s->carried));
    RW_TRY_DONE(rw_alloc(nodes, sizeof *s->by_node, "states between steps", &s->by_node));
    RW_TRY_DONE(rw_alloc(nodes, sizeof *s->rows, "states between steps", &s->rows));
    RW_TRY_DONE(rw_alloc(nodes, sizeof *place, "states between steps", &place));
    s->plan = p;
    RW_TRY_DONE(list_carried(s, p, place));
done:
    rw_free(&place);
    if (status != RW_OK) rw_step_carry_destroy(&s);
    *out = s;
    return status;
}

void rw_step_carry_destroy(rw_step_carry **carry)
{
    rw_step_carry *s = *carry;
    if (!s) return;
    rw_free(&s->carried);
    rw_free(&s->by_node);
    rw_free(&s->rows);
    rw_free(&s->in);
    rw_free(&s->out);
    rw_free(carry);
}

int rw_step_carry_list(const rw_step_carry *s, const rw_carried **out)
{
    *out = s ? s->carried : NULL;
    return s ? s->count : 0;
}

const real *rw_step_carry_in(const rw_pass *w, int i, long b)
{
    const rw_step_carry *s = w->e->carry;
    if (!s || !w->training) return NULL;
    const rw_carried *c = &s->carried[s->by_node[i]];
    return c->data + (size_t)(w->part.begin + b) * c->state;
}

real *rw_step_carry_out(const rw_pass *w, int i, long b)
{
    const rw_step_carry *s = w->e->carry;
    const real *in = rw_step_carry_in(w, i, b);
    return in ? s->out + (in - s->in) : NULL;
}

/* The carried rows that rank q of sp_comm computed. A state comes from the rank of the last row. */
static rw_range rows_of(const rw_step_carry *s, int i, const rw_layout *layout, int q)
{
    rw_range chunks = rw_split(s->plan->tree.chunks, layout->sp, q);
    long first = s->plan->options.length - s->rows[i], chunk = s->plan->options.chunk;
    long begin = chunks.begin * chunk - first, end = chunks.end * chunk - first;
    return (rw_range){begin > 0 ? begin : 0, end > 0 ? end : 0};
}

/* Sends the carried rows of rank q to all ranks; returns the bytes. */
static double send_on(const rw_step_carry *s, int i, const rw_layout *layout, int q)
{
    rw_range rows = rows_of(s, i, layout, q);
    const size_t state = s->carried[i].state, each = state / (size_t)s->rows[i];
    const size_t reals = (size_t)(rows.end - rows.begin) * each;
    MPI_Datatype part; /* of all sequences */
    if (reals * s->sequences == 0) return 0;
    MPI_Type_vector((int)s->sequences, (int)reals, (int)state, RW_MPI_REAL, &part);
    MPI_Type_commit(&part);
    MPI_Bcast(s->carried[i].data + (size_t)rows.begin * each, 1, part, q, layout->sp_comm);
    MPI_Type_free(&part);
    return (double)(reals * s->sequences * sizeof(real));
}

void rw_step_carry_hand_on(rw_step_carry *s, const rw_layout *layout)
{
    double sent = 0;
    if (!s) return;
    memcpy(s->in, s->out, s->total * sizeof(real));
    if (layout->sp == 1) return;
    double start = rw_comm_begin();
    for (int i = 0; i < s->count; i++)
        for (int q = 0; q < layout->sp; q++) {
            double bytes = send_on(s, i, layout, q);
            if (q == layout->sp_rank) sent += bytes * (layout->sp - 1);
        }
    rw_comm_end_blocking(start, sent);
}
