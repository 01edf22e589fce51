/* The models whose training steps are measured. */
#ifndef RW_STEP_MODELS_H
#define RW_STEP_MODELS_H

typedef struct {
    const char *name;   /* mixer, layers x width: "ssd 4x512" */
    const char *blocks; /* as for rw_trainee_open */
} rw_step_model;

extern const rw_step_model rw_step_models[]; /* the last has no name */

#endif
