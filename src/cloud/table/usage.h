/* Usage records (what was metered) and charges (what it costs): the two halves of the ledger. Rows are written by
 * cloud/ledger.c alone and never changed. */
#ifndef LM_CLOUD_TABLE_USAGE_H
#define LM_CLOUD_TABLE_USAGE_H

#include "base/vec.h"
#include "cloud/money.h"
#include "cloud/table/table.h"

/* Kinds of usage. */
#define LM_USAGE_REQUEST "request" /* tokens of one request to an endpoint */
#define LM_USAGE_RUN "run"         /* a segment of a training run: leased and delivered compute */
#define LM_USAGE_REPLICA "replica" /* a segment of a replica's life: leased compute */
#define LM_USAGE_LEASE "lease"     /* capacity leased elsewhere, entered by the operator */
extern const char *const lm_usage_kind_names[];

enum { LM_USAGE_REFERENCE_MAX = 128 };

typedef struct lm_usage {
    char id[LM_ID_BYTES];  /* use_; the ledger fills it */
    const char *reference; /* unique: names what it bills; at most LM_USAGE_REFERENCE_MAX bytes */
    const char *kind;
    const char *project_id;
    const char *key_id;      /* or NULL */
    const char *model;       /* name for per-model prices; "" when none */
    const char *endpoint_id; /* or NULL */
    const char *job_id;      /* or NULL */
    int64_t start_ms, end_ms;
    int64_t prompt_tokens, completion_tokens;
    int64_t flops; /* delivered */
    int64_t device_us;
    int64_t peak_flops;    /* leased from start to end, FLOP/s; 0: nothing leased */
    int64_t amount_micros; /* sum of its charges; the ledger fills it */
} lm_usage;

typedef struct lm_charge {
    char id[LM_ID_BYTES]; /* chg_ */
    const char *usage_id;
    const char *project_id;
    const char *price_id;
    const char *model;
    int64_t from_ms, to_ms; /* within one month, at one price */
    int64_t tokens;
    int64_t peak_flops;
    int64_t amount_micros;
    const char *currency;
} lm_charge;

extern const lm_table lm_usage_table, lm_charge_table;

loam_status lm_usage_exists(lm_db *db, const char *reference, bool *out,
                            loam_error *err) LM_MUST_USE;
loam_status lm_usage_find(lm_db *db, const char *reference, lm_arena *arena, lm_usage *out,
                          loam_error *err) LM_MUST_USE;
loam_status lm_usage_page(lm_db *db, const char *project_id, const lm_page *page, lm_arena *arena,
                          lm_list *out, const char **out_next, loam_error *err) LM_MUST_USE;

/* A span of time of a project: from_ms <= start < to_ms. */
typedef struct lm_usage_span {
    const char *project_id;
    int64_t from_ms, to_ms;
} lm_usage_span;

typedef enum lm_usage_group {
    LM_USAGE_BY_DAY,
    LM_USAGE_BY_MODEL,
    LM_USAGE_BY_KEY,
    LM_USAGE_IN_ALL
} lm_usage_group;
extern const char *const lm_usage_group_names[]; /* without "in all" */

/* Sums of one group. Compute in FLOPs done and in FLOP/s held times milliseconds: both beyond 64 bits. */
typedef struct lm_usage_sum {
    const char *group;  /* "2026-11-22", a model's name, a key's id ("" for none), "" for all */
    int64_t n_requests; /* records of kind LM_USAGE_REQUEST */
    int64_t prompt_tokens, completion_tokens, device_us, amount_micros;
    lm_u128 flops;
    lm_u128 leased_flops_ms;
} lm_usage_sum;
typedef LM_VEC(lm_usage_sum) lm_usage_sums;

/* Sums by group, ordered by group; the vector is the caller's (lm_vec_deinit), texts live in the arena. */
loam_status lm_usage_sum_up(lm_db *db, const lm_usage_span *span, lm_usage_group group,
                            lm_arena *arena, lm_usage_sums *out, loam_error *err) LM_MUST_USE;

/* P·h of a sum, as a number for people and charts. */
double lm_usage_ph_delivered(const lm_usage_sum *sum);
double lm_usage_ph_leased(const lm_usage_sum *sum);

/* Charges of a span summed by price, model and peak, ordered so. */
typedef struct lm_charge_sum {
    const char *price_id, *model, *currency;
    int64_t from_ms, to_ms; /* first and last moment */
    int64_t n_charges, tokens, amount_micros;
    lm_u128 leased_flops_ms;
} lm_charge_sum;
typedef LM_VEC(lm_charge_sum) lm_charge_sums;
loam_status lm_charge_sum_up(lm_db *db, const lm_usage_span *span, lm_arena *arena,
                             lm_charge_sums *out, loam_error *err) LM_MUST_USE;

/* Start of the project's first record; 0 when it has none. */
loam_status lm_usage_first_ms(lm_db *db, const char *project_id, int64_t *out,
                              loam_error *err) LM_MUST_USE;

#endif
