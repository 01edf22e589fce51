#include "mpi/rank_compare.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "mpi/layout.h"

enum { LINE = 160, PATH = 200, HOST = 64 };

/* Copies the next line of *text without its end; false at the end of the text. */
static bool next_line(const char **text, char line[LINE])
{
    size_t length = strcspn(*text, "\n");
    line[0] = '\0';
    if (!**text) return false;
    snprintf(line, LINE, "%.*s", (int)(length < LINE ? length : LINE - 1), *text);
    *text += length + ((*text)[length] == '\n');
    return true;
}

static size_t indent_of(const char *line)
{
    return strspn(line, " -");
}

/* The keys of the lines around a line: those before it that are indented less. */
static void path_to(const char *text, const char *end, size_t indent, char path[PATH])
{
    char line[LINE];
    const char *opens[8];
    size_t depth = 0, indents[8];
    path[0] = '\0';
    while (text < end) {
        const char *start = text;
        if (!next_line(&text, line)) break;
        while (depth > 0 && indents[depth - 1] >= indent_of(line)) depth--;
        if (depth == 8 || indent_of(line) >= indent) continue;
        indents[depth] = indent_of(line);
        opens[depth++] = start;
    }
    for (size_t i = 0; i < depth; i++) {
        next_line(&opens[i], line);
        size_t used = strlen(path);
        snprintf(path + used, PATH - used, "%s ", line + indent_of(line));
    }
}

/* The first line in which `own` differs from `first`. */
static rw_status tell_difference(const char *what, const char *own, const char *first,
                                 const char *about, const char *advice)
{
    char mine[LINE], other[LINE], path[PATH];
    const char *at = own, *others = first, *line;
    bool more, more_others;
    do {
        line = at;
        more = next_line(&at, mine);
        more_others = next_line(&others, other);
    } while (more && more_others && strcmp(mine, other) == 0);
    path_to(own, line, indent_of(more ? mine : other), path);
    return rw_fail(RW_ERROR, "%s: another %s: %s%s; rank 0 has %s; %s", about, what, path,
                   more ? mine + indent_of(mine) : "no more",
                   more_others ? other + indent_of(other) : "no more", advice);
}

/* On the ranks that differ: the text of rank 0. Collective. */
static rw_status explain(MPI_Comm comm, bool differs, const char *what, const char *text,
                         const char *advice)
{
    int rank;
    unsigned long bytes = strlen(text) + 1;
    char host[HOST] = "", about[2 * HOST + 64], *first = NULL;
    rw_status status;
    MPI_Comm_rank(comm, &rank);
    gethostname(host, sizeof host - 1);
    char own_host[HOST];
    memcpy(own_host, host, sizeof host);
    MPI_Bcast(host, HOST, MPI_CHAR, 0, comm);
    MPI_Bcast(&bytes, 1, MPI_UNSIGNED_LONG, 0, comm);
    RW_TRY(rw_agree_comm(comm, rw_alloc(bytes, 1, "the text of rank 0", &first)));
    if (rank == 0) memcpy(first, text, bytes);
    MPI_Bcast(first, (int)bytes, MPI_CHAR, 0, comm);
    snprintf(about, sizeof about, "rank %d (on %s) differs from rank 0 (on %s)", rank, own_host,
             host);
    status = differs ? tell_difference(what, text, first, about, advice) : RW_OK;
    rw_free(&first);
    return rw_agree_comm(comm, status);
}

rw_status rw_rank_compare(MPI_Comm comm, const char *what, const char *text, const char *advice)
{
    uint64_t own = XXH3_64bits(text, strlen(text)), first = own;
    MPI_Bcast(&first, 1, MPI_UINT64_T, 0, comm);
    int differs = own != first, any = 0;
    MPI_Allreduce(&differs, &any, 1, MPI_INT, MPI_MAX, comm);
    return any ? explain(comm, differs, what, text, advice) : RW_OK;
}
