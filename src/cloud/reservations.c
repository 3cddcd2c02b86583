#include "cloud/reservations.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

enum { LATE_USAGE_MS = 60000 };

typedef struct held {
    lm_reservation reservation;
    int64_t ended_ms; /* 0: under way */
} held;

struct lm_reservations {
    lm_keyring *keyring;
    pthread_mutex_t lock; /* guards the map */
    lm_map *by_request;   /* request id -> held * */
};

loam_status lm_reservations_new(lm_keyring *keyring, lm_reservations **out, loam_error *err) {
    lm_reservations *reservations = lm_calloc(1, sizeof *reservations);
    lm_map *map = lm_map_new();
    if (!reservations || !map) {
        lm_free(reservations);
        lm_map_free(map);
        return lm_error_no_memory(err, sizeof *reservations);
    }
    reservations->keyring = keyring;
    reservations->by_request = map;
    pthread_mutex_init(&reservations->lock, NULL);
    *out = reservations;
    return LOAM_OK;
}

void lm_reservations_free(lm_reservations *reservations) {
    if (!reservations) return;
    size_t cursor = 0;
    lm_str id;
    uint64_t value;
    while (lm_map_next(reservations->by_request, &cursor, &id, &value))
        lm_free((held *)(uintptr_t)value);
    lm_map_free(reservations->by_request);
    pthread_mutex_destroy(&reservations->lock);
    lm_free(reservations);
}

loam_status lm_reservations_hold(lm_reservations *reservations, const char *request_id,
                                 const lm_reservation *reservation, loam_error *err) {
    held *h = lm_calloc(1, sizeof *h);
    if (!h) return lm_error_no_memory(err, sizeof *h);
    h->reservation = *reservation;
    pthread_mutex_lock(&reservations->lock);
    bool ok = lm_map_set(reservations->by_request, lm_str_of(request_id), (uintptr_t)h);
    pthread_mutex_unlock(&reservations->lock);
    if (ok) return LOAM_OK;
    lm_free(h);
    return lm_error_no_memory(err, sizeof *h);
}

/* Takes a reservation out; NULL when there is none (any more). The caller frees. */
static held *take(lm_reservations *reservations, lm_str request_id) {
    uint64_t value = 0;
    pthread_mutex_lock(&reservations->lock);
    if (lm_map_get(reservations->by_request, request_id, &value))
        lm_map_remove(reservations->by_request, request_id);
    pthread_mutex_unlock(&reservations->lock);
    return (held *)(uintptr_t)value;
}

static void give_back(lm_reservations *reservations, lm_str request_id) {
    held *h = take(reservations, request_id);
    if (h) lm_keyring_settle(reservations->keyring, &h->reservation, 0, 0);
    lm_free(h);
}

void lm_reservations_ended(lm_reservations *reservations, const char *request_id,
                           bool reached_replica) {
    lm_str id = lm_str_of(request_id);
    uint64_t value;
    if (!reached_replica) {
        give_back(reservations, id);
        return;
    }
    pthread_mutex_lock(&reservations->lock);
    if (lm_map_get(reservations->by_request, id, &value))
        ((held *)(uintptr_t)value)->ended_ms = lm_clock_epoch_ms();
    pthread_mutex_unlock(&reservations->lock);
}

void lm_reservations_booked(lm_reservations *reservations, const char *request_id,
                            const char *key_id, int64_t tokens, int64_t micros) {
    const char *dot = strchr(request_id, '.'); /* a later attempt of the same request */
    held *h = take(reservations,
                   (lm_str){request_id, dot ? (size_t)(dot - request_id) : strlen(request_id)});
    lm_reservation none = {0};
    snprintf(none.key_id, sizeof none.key_id, "%s", key_id);
    lm_keyring_settle(reservations->keyring, h ? &h->reservation : &none, tokens, micros);
    lm_free(h);
}

int64_t lm_reservations_held(lm_reservations *reservations) {
    pthread_mutex_lock(&reservations->lock);
    int64_t n = (int64_t)lm_map_len(reservations->by_request);
    pthread_mutex_unlock(&reservations->lock);
    return n;
}

void lm_reservations_expire(lm_reservations *reservations, int64_t now_ms) {
    for (;;) {
        char late[64] = "";
        size_t cursor = 0;
        lm_str id;
        uint64_t value;
        pthread_mutex_lock(&reservations->lock);
        while (!late[0] && lm_map_next(reservations->by_request, &cursor, &id, &value)) {
            const held *h = (held *)(uintptr_t)value;
            if (h->ended_ms && h->ended_ms + LATE_USAGE_MS < now_ms)
                snprintf(late, sizeof late, "%.*s", (int)id.len, id.ptr);
        }
        pthread_mutex_unlock(&reservations->lock);
        if (!late[0]) return;
        give_back(reservations, lm_str_of(late));
    }
}
