/* What `loam show` says of a model's memory: what serving it takes, whether that fits, and what would. */
#ifndef LM_CLI_SHOW_MEMORY_H
#define LM_CLI_SHOW_MEMORY_H

#include <jansson.h>

#include "base/error.h"

typedef struct lm_show_memory_options {
    int64_t context; /* tokens of a sequence; 0: 4096, or the model's if that is less */
    int64_t batch;   /* sequences at once */
    int64_t threads;
    const char *kv_dtype;
    const char *memory; /* "24GiB": another machine's; NULL: this one's */
} lm_show_memory_options;

/* LOAM_INVALID: sizes or types that are none. */
loam_status lm_show_memory_check(const lm_show_memory_options *options,
                                 loam_error *err) LM_MUST_USE;

/* Measured in this process, which should have opened nothing yet: its own size is part of it. *out is a new reference. */
loam_status lm_show_memory(const char *path, const lm_show_memory_options *options, json_t **out,
                           loam_error *err) LM_MUST_USE;

/* The longest context, of all sequences at once, for which so much memory is enough by what lm_show_memory told; 0: none. */
int64_t lm_show_context_in(const json_t *memory, int64_t n_bytes);

/* Of a machine's whole memory a share of 1 / this is its system's. */
enum { LM_SHOW_SYSTEM_SHARE = 16 };

void lm_show_memory_print(const json_t *memory);

/* "1.5 MiB" */
const char *lm_size_text(double n_bytes, char out[32]);

#endif
