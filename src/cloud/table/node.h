/* Nodes: the machines of a pool. */
#ifndef LM_CLOUD_TABLE_NODE_H
#define LM_CLOUD_TABLE_NODE_H

#include "cloud/table/table.h"

typedef struct lm_node {
    char id[LM_ID_BYTES];
    char pool_id[LM_ID_BYTES];
    const char *name; /* host name */
    int64_t n_cpus;
    int64_t memory_bytes;
    int64_t peak_flops;
    const char *state; /* "up" */
    int64_t created_ms;
} lm_node;

extern const lm_table lm_node_table;

loam_status lm_node_list(lm_db *db, const lm_page *page, lm_arena *arena, lm_list *out,
                         const char **out_next, loam_error *err) LM_MUST_USE;

#endif
