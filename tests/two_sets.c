/* main() of the program with sets that are none: "plain" runs anywhere, "all" uses
 * every instruction there is, and no processor has all of them. Built twice, with
 * NOTHING_RUNS without the first. What runs prints its name. */
#include <stdio.h>

#include "cli/program.h"

#define TEXT_(tokens)       #tokens
#define UNUSED(name, macro) TEXT_(macro),
#define USED(name, macro)   "1",

static int say(const char *name)
{
    puts(name);
    return 0;
}

static const char *const all_uses[] = {RW_INSTRUCTIONS(USED) NULL};

static int run_all(int argc, char **argv)
{
    (void)argc, (void)argv;
    return say("all");
}

static const rw_program all = {.name = "all", .vectors = "ALL", .uses = all_uses, .run = run_all};

#ifdef NOTHING_RUNS
const rw_program *const rw_program_registry[] = {&all, NULL};
#else
static const char *const plain_uses[] = {RW_INSTRUCTIONS(UNUSED) NULL};

static int run_plain(int argc, char **argv)
{
    (void)argc, (void)argv;
    return say("plain");
}

static const rw_program plain = {
    .name = "plain", .vectors = "PLAIN", .blas = "Prescott", .uses = plain_uses, .run = run_plain};

const rw_program *const rw_program_registry[] = {&plain, &all, NULL};
#endif
