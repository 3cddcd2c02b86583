#include "base/queue.h"

#include <pthread.h>

#include "base/mem.h"

struct lm_queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t not_empty;
    size_t capacity, head, len;
    bool closed;
    void *items[];
};

loam_status lm_queue_new(size_t capacity, lm_queue **out, loam_error *err) {
    LM_ASSERT(capacity > 0);
    lm_queue *queue = lm_calloc(1, sizeof *queue + capacity * sizeof(void *));
    if (!queue) return lm_error_no_memory(err, capacity * sizeof(void *));
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    queue->capacity = capacity;
    *out = queue;
    return LOAM_OK;
}

void lm_queue_free(lm_queue *queue) {
    if (!queue) return;
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->lock);
    lm_free(queue);
}

bool lm_queue_try_push(lm_queue *queue, void *item) {
    pthread_mutex_lock(&queue->lock);
    bool room = !queue->closed && queue->len < queue->capacity;
    if (room) {
        queue->items[(queue->head + queue->len) % queue->capacity] = item;
        queue->len++;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return room;
}

/* With the lock held. */
static bool take_first(lm_queue *queue, void **out) {
    if (queue->len == 0) return false;
    *out = queue->items[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->len--;
    return true;
}

bool lm_queue_try_pop(lm_queue *queue, void **out) {
    pthread_mutex_lock(&queue->lock);
    bool found = take_first(queue, out);
    pthread_mutex_unlock(&queue->lock);
    return found;
}

bool lm_queue_pop(lm_queue *queue, void **out) {
    pthread_mutex_lock(&queue->lock);
    while (queue->len == 0 && !queue->closed) pthread_cond_wait(&queue->not_empty, &queue->lock);
    bool found = take_first(queue, out);
    pthread_mutex_unlock(&queue->lock);
    return found;
}

void lm_queue_close(lm_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

size_t lm_queue_len(lm_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    size_t len = queue->len;
    pthread_mutex_unlock(&queue->lock);
    return len;
}
