#include "measure/step_models.h"

#include <stddef.h>

#define MODEL(mixer, layers, width, block)                                                         \
    {                                                                                              \
        mixer " " #layers "x" #width,                                                              \
            "width: " #width ", repeat: " #layers ", blocks: [{mixer: " block "}]"                 \
    }
#define SIZES(mixer, block)                                                                        \
    MODEL(mixer, 4, 256, block), MODEL(mixer, 8, 256, block), MODEL(mixer, 4, 512, block)

const rw_step_model rw_step_models[] = {
    SIZES("ssd", "ssd, state: 64, heads: 8"),
    SIZES("s4d", "s4d, state: 64"),
    SIZES("lssl", "lssl, state: 64"),
    SIZES("attention", "attention, heads: 8"),
    SIZES("lstm", "lstm"),
    {NULL, NULL},
};
