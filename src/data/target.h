/* Marks a token whose prediction does not count in the loss. */
#ifndef RW_TARGET_H
#define RW_TARGET_H

#define RW_IGNORE (-1)

#endif
