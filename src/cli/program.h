/* The program, once for each instruction set that it was built for. main() is
 * compiled for any processor; it looks at the one it runs on and starts the
 * widest of them that runs here, or the one that ROPEWALK_ISA names. The list
 * is RW_SETS in configure.ac, how they are built src/cli/sets.mk, why so
 * docs/decisions/0019-processors.md. */
#ifndef RW_PROGRAM_H
#define RW_PROGRAM_H

/* Instructions that a compiler may use by itself, as __builtin_cpu_supports and
 * the compiler's macros name them. Those that it cannot ask for (lzcnt, movbe,
 * f16c) came with avx2. */
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
    const char *name;    /* of the instruction set, as ROPEWALK_ISA names it: "avx2" */
    const char *vectors; /* what it computes with, for people: "AVX2" */
    const char *blas;    /* the OPENBLAS_CORETYPE that needs no more than the set; or NULL */
    /* In the order of RW_INSTRUCTIONS: the value of the macro where this was
     * compiled, "1", or its name if it is not defined. */
    const char *const *uses;
    int (*run)(int argc, char **argv); /* the program: returns its exit code */
} rw_program;

/* From the narrowest instruction set to the widest; NULL-terminated. */
extern const rw_program *const rw_program_registry[];

/* The one that runs. */
const rw_program *rw_program_self(void);

#endif
