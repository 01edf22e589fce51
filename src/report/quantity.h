/* Numbers for people. Pure functions; `text` of `size` bytes is always terminated; numbers that are
 * not finite become a dash. */
#ifndef RW_QUANTITY_H
#define RW_QUANTITY_H

#include <stddef.h>

#define RW_QUANTITY_SIZE 48 /* enough for all texts */

/* 1234567.8 with 1 decimal: "1,234,567.8". */
void rw_quantity_grouped(double value, int decimals, char *text, size_t size);
/* Three digits and a unit: "1.23M", "45.6k", "789", "0.0123". */
void rw_quantity_short(double value, char *text, size_t size);
/* At most `digits` (1 to 9) digits and an exponent: "3e-4", "2.5e-5". */
void rw_quantity_exponent(double value, int digits, char *text, size_t size);
/* A loss: four digits after the point, or four significant digits. */
void rw_quantity_loss(double value, char *text, size_t size);
/* Seconds: "4.2 s", "3 min 20 s", "5 h 12 min", "2 d 3 h". */
void rw_quantity_time(double seconds, char *text, size_t size);

#endif
