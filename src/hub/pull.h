/* Fetching a model from the first of several hubs that has it and keeps its promises, into the store.
 *
 *     list of files -> which of them -> what is missing -> room on the disk -> ranges on several connections -> digests
 *
 * What was fetched stays whatever happens: the next pull, from whichever hub lists the same contents, goes on from there.
 * Any number of processes may pull the same model; a file has one writer, the others wait for it. One thread.
 */
#ifndef LM_HUB_PULL_H
#define LM_HUB_PULL_H

#include "hub/hub_api.h"
#include "hub/store.h"

typedef struct lm_hub {
    const lm_hub_kind *kind;
    const char *endpoint; /* "https://huggingface.co" */
    const char *token;    /* for this hub's own host only; NULL: none */
} lm_hub;

typedef enum lm_pull_event_kind {
    LM_PULL_CHOSEN, /* text: the quant, or "safetensors"; others: what else there is, "" if it was asked for by name */
    LM_PULL_PRESENT, /* the file is there already */
    LM_PULL_RESUMES, /* n_bytes of it are */
    LM_PULL_DONE, /* it has come and is what the hub listed; without a digest in the list: only its size */
    LM_PULL_WAITS,  /* another process fetches it */
    LM_PULL_FAILED, /* text: why; the next hub is tried, or the file is fetched once more */
} lm_pull_event_kind;

typedef struct lm_pull_event {
    lm_pull_event_kind kind;
    const char *text; /* path, or as the kind says */
    const char *others;
    int64_t n_bytes;
    bool is_verified; /* of LM_PULL_DONE */
} lm_pull_event;

typedef struct lm_pull_options {
    const lm_store *store;
    const lm_hub *hubs; /* in the order they are asked */
    size_t n_hubs;
    const char *revision; /* NULL: the hub's default */
    bool offline;         /* only looks whether the model is there */
    bool check;           /* also reads what is there and compares its digest */
    int n_connections, n_retries;
    int64_t stall_ms, retry_delay_ms;
    void (*on_event)(void *ctx, const lm_pull_event *event);
    /* Several times a second; false breaks off (LOAM_CANCELLED). */
    bool (*on_progress)(void *ctx, int64_t n_bytes, int64_t n_total);
    void *ctx;
} lm_pull_options;

/* The error of the first hub when none has it. LOAM_LIMIT: the disk is too small. */
loam_status lm_pull(const lm_hub_name *name, const lm_pull_options *options,
                    loam_error *err) LM_MUST_USE;

#endif
