/* Bounded queue of pointers between threads: any number of producers and consumers, first in, first out.
 *
 * A full queue refuses (the caller says 429 or waits); nothing grows. Closing wakes everybody: pushes fail from then
 * on, pops drain what is left. The mutex guards all fields. The queue never owns what the pointers point to.
 */
#ifndef LM_BASE_QUEUE_H
#define LM_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lm_queue lm_queue;

loam_status lm_queue_new(size_t capacity, lm_queue **out, loam_error *err) LM_MUST_USE;
void lm_queue_free(lm_queue *queue);
LM_MUST_USE bool lm_queue_try_push(lm_queue *queue, void *item); /* false: full or closed */
LM_MUST_USE bool lm_queue_try_pop(lm_queue *queue, void **out);  /* false: empty */
LM_MUST_USE bool lm_queue_pop(lm_queue *queue, void **out); /* waits; false: closed and empty */
void lm_queue_close(lm_queue *queue);
size_t lm_queue_len(lm_queue *queue);

#endif
