#include "train/launcher_grace.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

#define GRACE "OMPI_MCA_odls_base_sigkill_timeout"
/* What Open MPI waits by itself: 1 s in its settings, and up to 1 s more. */
#define GRACE_DEFAULT 1

void rw_launcher_grace_warn(double seconds)
{
    static bool told;
    const char *given = getenv(GRACE);
    double grace = given ? strtod(given, NULL) : GRACE_DEFAULT;
    if (told || !getenv("OMPI_COMM_WORLD_SIZE") || seconds <= grace) return;
    told = true;
    int wanted = 60;
    while (wanted < 3 * seconds) wanted *= 2;
    rw_warn(
        "a stop with a checkpoint takes some %.1f s here, but mpirun kills the ranks %g s after "
        "SIGTERM or Ctrl-C: set %s=%d in the environment of mpirun, or send USR1 to it instead; "
        "a larger train.accumulate makes the way to the next stop shorter",
        seconds, grace, GRACE, wanted);
}
