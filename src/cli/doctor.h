/* The findings of `ropewalk doctor`: a line each, with a verdict and advice. Rank 0 runs the
 * checks, except those marked collective. A check never fails: unknown facts are reported as
 * unknown.
 */
#ifndef RW_DOCTOR_H
#define RW_DOCTOR_H

typedef enum {
    RW_VERDICT_OK,
    RW_VERDICT_WARN, /* training works, but slower or with less safety */
    RW_VERDICT_FAIL, /* training is impossible here */
    RW_VERDICT_COUNT
} rw_verdict;

typedef struct {
    int count[RW_VERDICT_COUNT];
} rw_doctor;

/* Prints a finding: its subject in a column, then the text. */
void rw_doctor_say(rw_doctor *doctor, rw_verdict verdict, const char *subject, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* Prints advice about the finding before. */
void rw_doctor_advise(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* doctor_machine.c: the resources and limits of the machine. */
void rw_doctor_processor(rw_doctor *doctor);
void rw_doctor_cores(rw_doctor *doctor);
void rw_doctor_memory(rw_doctor *doctor);
void rw_doctor_folder(rw_doctor *doctor);
void rw_doctor_limits(rw_doctor *doctor);

/* doctor_libraries.c: the libraries of ropewalk. */
typedef struct {
    int ranks, hosts;
} rw_job_shape;
/* Collective over MPI_COMM_WORLD. */
rw_job_shape rw_doctor_job_shape(void);
void rw_doctor_mpi(rw_doctor *doctor, rw_job_shape shape);
void rw_doctor_libraries(rw_doctor *doctor);
void rw_doctor_slurm(rw_doctor *doctor);

/* doctor_speed.c: short measurements, about a second in all. */
void rw_doctor_products(rw_doctor *doctor);
void rw_doctor_bf16(rw_doctor *doctor);
void rw_doctor_bandwidth(rw_doctor *doctor);

#endif
