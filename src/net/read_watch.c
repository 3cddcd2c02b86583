#include "net/read_watch.h"

#include <sys/socket.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

struct lm_read_watch {
    int64_t limit_ns;
    lm_map *entries; /* address of the input buffer -> read_entry */
};

typedef struct read_entry {
    lm_read_watch *watch;
    struct bufferevent *connection;
    int64_t since_ns; /* of the request's first byte; 0: none yet */
    bool paused;
} read_entry;

/* Also the key's storage: valid as long as the variable. */
static lm_str key_of(struct evbuffer *const *input) {
    return (lm_str){(const char *)input, sizeof *input};
}

static read_entry *find(const lm_read_watch *watch, struct bufferevent *connection) {
    struct evbuffer *input = bufferevent_get_input(connection);
    uint64_t value;
    return lm_map_get(watch->entries, key_of(&input), &value) ? (read_entry *)(uintptr_t)value
                                                              : NULL;
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg) {
    read_entry *entry = arg;
    if (info->n_added == 0 || entry->paused) return;
    int64_t now_ns = lm_clock_mono_ns();
    if (entry->since_ns == 0) entry->since_ns = now_ns;
    if (now_ns - entry->since_ns > entry->watch->limit_ns)
        shutdown(bufferevent_getfd(entry->connection), SHUT_RDWR);
}

loam_status lm_read_watch_new(int64_t limit_ms, lm_read_watch **out, loam_error *err) {
    lm_read_watch *watch = lm_calloc(1, sizeof *watch);
    lm_map *entries = lm_map_new();
    if (!watch || !entries) {
        lm_free(watch);
        lm_map_free(entries);
        return lm_error_no_memory(err, sizeof *watch);
    }
    *watch = (lm_read_watch){.limit_ns = limit_ms * 1000000, .entries = entries};
    *out = watch;
    return LOAM_OK;
}

void lm_read_watch_free(lm_read_watch *watch) {
    if (!watch) return;
    size_t cursor = 0;
    lm_str key;
    uint64_t value;
    while (lm_map_next(watch->entries, &cursor, &key, &value)) lm_free((void *)(uintptr_t)value);
    lm_map_free(watch->entries);
    lm_free(watch);
}

bool lm_read_watch_add(lm_read_watch *watch, struct bufferevent *connection) {
    struct evbuffer *input = bufferevent_get_input(connection);
    read_entry *entry = find(watch, connection);
    if (!entry) {
        entry = lm_calloc(1, sizeof *entry);
        if (!entry) return false;
        if (!lm_map_set(watch->entries, key_of(&input), (uintptr_t)entry)) {
            lm_free(entry);
            return false;
        }
    }
    *entry = (read_entry){.watch = watch, .connection = connection};
    return evbuffer_add_cb(input, on_input, entry) != NULL;
}

void lm_read_watch_pause(lm_read_watch *watch, struct bufferevent *connection) {
    read_entry *entry = find(watch, connection);
    if (entry) entry->paused = true;
}

void lm_read_watch_resume(lm_read_watch *watch, struct bufferevent *connection) {
    read_entry *entry = find(watch, connection);
    if (!entry) return;
    entry->paused = false;
    entry->since_ns =
        evbuffer_get_length(bufferevent_get_input(connection)) ? lm_clock_mono_ns() : 0;
}
