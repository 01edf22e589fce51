#include "train/launcher_grace.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

/* After SIGTERM or Ctrl-C, mpirun (Open MPI 4.1) waits this many seconds, sends SIGTERM to the
 * ranks, waits as long once more, and kills the ranks. */
#define GRACE         "OMPI_MCA_odls_base_sigkill_timeout"
#define GRACE_DEFAULT 1

void rw_launcher_grace_warn(double seconds)
{
    static bool told;
    const char *given = getenv(GRACE);
    double grace = given && *given ? strtod(given, NULL) : GRACE_DEFAULT;
    if (told || !getenv("OMPI_COMM_WORLD_SIZE") || seconds <= grace) return;
    told = true;
    int wanted = 10;
    while (wanted < 2 * seconds) wanted *= 2;
    rw_warn(
        "a stop with a checkpoint takes some %.1f s here, but mpirun kills the ranks %g s after "
        "it has passed SIGTERM or Ctrl-C on: stop it with USR1 instead (kill -USR1 MPIRUN), or "
        "set %s=%d in the environment of mpirun; a larger train.accumulate makes it faster",
        seconds, grace, GRACE, wanted);
}
