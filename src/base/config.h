/* Configuration: a YAML document, checked against tables of known keys, with
 * every default filled in.
 *
 * Each part of the program owns the table of its keys (rw_key[]): a mixer, a
 * task, an optimizer declares them in its own file. A key that no table knows
 * is an error that names the line and the nearest known key.
 *
 * A rw_config is a mapping of the document. Sub-mappings and elements of lists
 * are borrowed from it and live as long as the root.
 *
 * All functions: not collective. Getters may only be called for keys that a
 * rw_config_check() with a table holding them has accepted; asking for another
 * is a programming error (assert). */
#ifndef RW_CONFIG_H
#define RW_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum {
    RW_KEY_INT, /* 64-bit; 1_000 and 4k, 2M (x1024, x1024^2) are understood */
    RW_KEY_REAL,
    RW_KEY_BOOL, /* true, false */
    RW_KEY_STRING,
    RW_KEY_MAP,  /* a sub-mapping, checked by a table of its own */
    RW_KEY_LIST, /* a list of mappings or scalars */
} rw_key_type;

typedef struct {
    const char *name;
    rw_key_type type;
    const char *fallback; /* default as written in YAML; NULL: none. A key with
                             neither value nor default is absent (has() == false) */
    bool required;
    double min, max;     /* for numbers, inclusive; both 0: unlimited; max below
                            min: no upper limit */
    const char *choices; /* for strings: "a|b|c"; NULL: any */
    bool neutral; /* in `model`: the value does not change the meaning of the trained weights, so a
                     checkpoint can continue with another value */
    const char *doc; /* one line for --help and docs, units included */
} rw_key;

#define RW_KEYS_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    } /* ends every table */

typedef struct rw_config rw_config;

/* Reads the file at `path`, then applies `count` overrides "key.path=value"
 * (value is YAML; list elements as model.blocks.0.state=32). The caller owns
 * *out. Errors (RW_USAGE) name file, line and column. */
rw_status rw_config_load(const char *path, const char *const *overrides, int count,
                         rw_config **out);
/* The same from text; `name` stands for the file in messages. */
rw_status rw_config_parse(const char *text, const char *name, const char *const *overrides,
                          int count, rw_config **out);
void rw_config_destroy(rw_config **config);

/* Checks the mapping's own keys against `tables` (count of them; a key may be in any) and fills in
 * defaults, in the order of the tables. Unknown key, wrong type, out of range, not a choice,
 * missing required: RW_USAGE, a message with file, line, full key path and the right form. */
rw_status rw_config_check(rw_config *config, const rw_key *const *tables, int count);

bool rw_config_has(const rw_config *config, const char *key);
int64_t rw_config_int(const rw_config *config, const char *key);
double rw_config_real(const rw_config *config, const char *key);
bool rw_config_bool(const rw_config *config, const char *key);
const char *rw_config_string(const rw_config *config, const char *key);
/* A key of type MAP. rw_config_check creates an absent optional mapping, empty, so that its own
 * check can fill it in; has() stays false then. NULL before the check. */
rw_config *rw_config_map(const rw_config *config, const char *key);
/* A key of type LIST: number of elements (0 if absent), and an element. The element's own
 * rw_config_check refuses an element that is no mapping; its first_key() is NULL. */
int rw_config_count(const rw_config *config, const char *key);
rw_config *rw_config_at(const rw_config *config, const char *key, int index);
/* An element that is a scalar, as written; NULL: no scalar. */
const char *rw_config_item(const rw_config *config, const char *key, int index);

/* An error about a key of this mapping (NULL: about the mapping itself), with
 * file, line and path in front:
 *   train.yaml:12: model.blocks.0.heads: 8 heads do not divide width 100; ... */
rw_status rw_config_fail(const rw_config *config, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* First key of a mapping as written in the document, e.g. "mixer" of
 * {mixer: ssd, state: 64}; usable before any check. NULL if empty. */
const char *rw_config_first_key(const rw_config *config);
/* A scalar as written, before any check; NULL if the key is absent. */
const char *rw_config_raw(const rw_config *config, const char *key);

/* Sets a key to a value written as YAML (e.g. the resolved number of ranks). */
rw_status rw_config_set(rw_config *config, const char *key, const char *value);

/* The whole mapping as YAML text (resolved: defaults included). The caller
 * frees *out with rw_free. */
rw_status rw_config_write(const rw_config *config, char **out);

/* The known name nearest to a mistyped name ("did you mean"), or NULL if no name is near (edit
 * distance > 1 + length/3). */
const char *rw_nearest(const char *name, const char *const *known, int count);
/* Advice after an unknown name, in a buffer of the caller: " (did you mean mqar?); the tasks are
 * copy, delay, mqar". */
#define RW_NAME_ADVICE 512
const char *rw_name_advice(const char *name, const char *plural, const char *const *known,
                           int count, char advice[RW_NAME_ADVICE]);

#endif
