#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>

void rw_doctor_say(rw_doctor *doctor, rw_verdict verdict, const char *subject, const char *format,
                   ...)
{
    static const char *const words[] = {
        [RW_VERDICT_OK] = "ok", [RW_VERDICT_WARN] = "warn", [RW_VERDICT_FAIL] = "FAIL"};
    va_list arguments;
    va_start(arguments, format);
    printf("%-4s  %-12s  ", words[verdict], subject);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    doctor->count[verdict]++;
}

void rw_doctor_advise(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-4s  %-12s  -> ", "", "");
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}
