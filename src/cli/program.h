/* The program, once for each instruction set of the build. main() is compiled for any processor. It
 * starts the widest program that runs on this processor, or the program that ROPEWALK_ISA names.
 * RW_SETS in configure.ac is the list; src/cli/sets.mk builds the sets;
 * docs/decisions/0019-processors.md gives the reasons. */
#ifndef RW_PROGRAM_H
#define RW_PROGRAM_H

/* Instructions that a compiler may use by itself, as names of __builtin_cpu_supports and of the
 * compiler's macros. Instructions that it cannot ask for (lzcnt, movbe, f16c) came with avx2. */
#if defined(__x86_64__)
#define RW_INSTRUCTIONS(X)                                                                         \
    X("sse3", __SSE3__)                                                                            \
    X("ssse3", __SSSE3__)                                                                          \
    X("sse4.1", __SSE4_1__)                                                                        \
    X("sse4.2", __SSE4_2__)                                                                        \
    X("sse4a", __SSE4A__)                                                                          \
    X("popcnt", __POPCNT__)                                                                        \
    X("avx", __AVX__)                                                                              \
    X("fma4", __FMA4__)                                                                            \
    X("xop", __XOP__)                                                                              \
    X("bmi", __BMI__)                                                                              \
    X("bmi2", __BMI2__)                                                                            \
    X("avx2", __AVX2__)                                                                            \
    X("fma", __FMA__)                                                                              \
    X("avx512f", __AVX512F__)                                                                      \
    X("avx512bw", __AVX512BW__)                                                                    \
    X("avx512cd", __AVX512CD__)                                                                    \
    X("avx512dq", __AVX512DQ__)                                                                    \
    X("avx512vl", __AVX512VL__)                                                                    \
    X("avx512ifma", __AVX512IFMA__)                                                                \
    X("avx512vbmi", __AVX512VBMI__)                                                                \
    X("avx512vbmi2", __AVX512VBMI2__)                                                              \
    X("avx512vnni", __AVX512VNNI__)                                                                \
    X("avx512bitalg", __AVX512BITALG__)                                                            \
    X("avx512vpopcntdq", __AVX512VPOPCNTDQ__)
#else
#define RW_INSTRUCTIONS(X)
#endif

typedef struct {
    const char *name;    /* name of the instruction set in ROPEWALK_ISA: "avx2" */
    const char *vectors; /* name for people: "AVX2" */
    const char *blas;    /* the widest OPENBLAS_CORETYPE within the set; or NULL */
    /* In the order of RW_INSTRUCTIONS: the value of the macro at compile time, "1", or its name if
     * it was not defined. */
    const char *const *uses;
    int (*run)(int argc, char **argv); /* the program: returns its exit code */
} rw_program;

/* From the narrowest instruction set to the widest; NULL-terminated. */
extern const rw_program *const rw_program_registry[];

/* The running program. */
const rw_program *rw_program_self(void);

#endif
