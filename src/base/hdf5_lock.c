#include "base/hdf5_lock.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void rw_hdf5_lock(void) { pthread_mutex_lock(&lock); }
void rw_hdf5_unlock(void) { pthread_mutex_unlock(&lock); }
