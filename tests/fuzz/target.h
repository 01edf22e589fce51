/* A fuzz target: reads a file that may be anything.
 *
 * libFuzzer's main (`make fuzz`), or tests/fuzz/replay.c (`make check`), calls the
 * function with one input after another. Wrong input is refused as in the program: with
 * a status and a message. The target aborts on what must never happen. */
#ifndef RW_FUZZ_TARGET_H
#define RW_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert, in every build. */
#define FUZZ_EXPECT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
