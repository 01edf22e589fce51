#include "cli/catalog.h"
#include "cli/command.h"
#include "mixers/mixer.h"

static rw_status run(int argc, char **argv)
{
    rw_catalog catalog = {
        .what = "mixer",
        .doc = "Lists the built-in sequence mixers, with the keys of a block such as "
               "{mixer: ssd, state: 64} under model.blocks: type, default, meaning.",
    };
    for (int i = 0; i < RW_CATALOG_MOST && rw_mixer_registry[i]; i++) {
        const rw_mixer *mixer = rw_mixer_registry[i];
        catalog.entries[i].name = mixer->name;
        catalog.entries[i].summary = mixer->summary;
        catalog.entries[i].source = mixer->source;
        catalog.entries[i].keys = mixer->keys;
        catalog.count++;
    }
    return rw_catalog_run(&catalog, argc, argv);
}

const rw_command rw_command_mixers = {
    .name = "mixers",
    .summary = "List the sequence mixers and their keys",
    .run = run,
};
