/* main(): starts the program of the best instruction set for this processor. Compiled for any
 * processor; calls no other code before the choice. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/program.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 2 };

/* MPI has not been started: variables of the launchers tell ranks apart. One rank of each host
 * speaks, because hosts may differ. */
static bool speaks(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID",
                                            "MPI_LOCALRANKID"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *rank = getenv(variables[i]);
        if (rank) return strcmp(rank, "0") == 0;
    }
    return true;
}

__attribute__((format(printf, 2, 3))) _Noreturn static void refuse(int code, const char *format,
                                                                   ...)
{
    char host[256] = "this host";
    gethostname(host, sizeof host - 1);
    if (speaks()) {
        char line[1024];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        /* base/shown_text.h is not for any processor: characters that are not plain become '?'. */
        for (char *c = line; *c; c++)
            if (*c < ' ' || *c > '~') *c = '?';
        fprintf(stderr, "ropewalk: on %s: %s\n", host, line);
    }
    exit(code);
}

/* The first instruction set that the program uses and this processor lacks; NULL: none. */
static const char *lacking(const rw_program *program)
{
    static const char *const names[] = {
#define NAME(name, macro) name,
        RW_INSTRUCTIONS(NAME) NULL};
    const bool has[] = {
#define HAS(name, macro) __builtin_cpu_supports(name) != 0,
        RW_INSTRUCTIONS(HAS) true};
    for (size_t i = 0; names[i]; i++)
        if (program->uses[i][0] == '1' && !has[i]) return names[i];
    return NULL;
}

static const rw_program *named(const char *name)
{
    char known[256] = "";
    for (const rw_program *const *it = rw_program_registry; *it; it++) {
        if (strcmp((*it)->name, name) == 0) return *it;
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", (*it)->name);
    }
    refuse(EXIT_USAGE,
           "ROPEWALK_ISA=%.60s: this program was built for %s; unset it, or build "
           "others with ./configure --with-march=dispatch",
           name, known);
}

static const rw_program *widest(void)
{
    const rw_program *found = NULL;
    for (const rw_program *const *it = rw_program_registry; *it; it++)
        if (!lacking(*it)) found = *it;
    if (found) return found;
    const rw_program *first = rw_program_registry[0];
    refuse(EXIT_ERROR,
           "this program was built for %s (%s), and the processor lacks %s; build it "
           "here, or with ./configure --with-march=dispatch for any processor",
           first->name, first->vectors, lacking(first));
}

int main(int argc, char **argv)
{
    const char *asked = getenv("ROPEWALK_ISA");
    if (!asked || !asked[0]) return widest()->run(argc, argv);
    const rw_program *program = named(asked);
    const char *lacks = lacking(program);
    if (lacks)
        refuse(EXIT_USAGE,
               "ROPEWALK_ISA=%s: the processor lacks %s; unset it, or name one that "
               "all hosts have",
               asked, lacks);
    return program->run(argc, argv);
}
