/* The REST API as a table: one row an endpoint, from which routing, authorization, validation and openapi.json follow.
 *
 * A request goes: loop thread: route, key, scope, body and query against the row's schemas -> store thread: the handler,
 * inside a transaction, with plain synchronous calls -> commit -> loop thread: the reply. So a reply says what is durable.
 * Handlers must be short (see cloud/store.h); effects outside the database are registered with lm_api_after_commit.
 *
 * Errors become {"error":{"code","message","hint"}}: LOAM_INVALID 400 by the schemas and 422
 * by a handler, no or a bad key 401, LOAM_DENIED 403,
 * LOAM_NOT_FOUND 404 (another project's thing is not found), LOAM_CONFLICT 409, LOAM_LIMIT 429, LOAM_UNAVAILABLE 503,
 * LOAM_IO 507, anything else 500. Adding an endpoint: one row and its handler in a file api_x.c, whose table is listed in
 * api_tables.def, and an API case.
 */
#ifndef LM_CLOUD_API_H
#define LM_CLOUD_API_H

#include "base/arena.h"
#include "cloud/auth.h"
#include "cloud/db.h"
#include "cloud/schema.h"
#include "cloud/table/table.h"

typedef struct lm_cloud lm_cloud;
typedef struct lm_api_ctx lm_api_ctx;
typedef struct lm_api_endpoint lm_api_endpoint;
typedef loam_status lm_api_handler(lm_api_ctx *ctx, loam_error *err);

typedef enum lm_api_shape {
    LM_API_OBJECT, /* the reply is one object of `reply` */
    LM_API_LIST, /* {"data":[reply...],"next":cursor|null}; query gets after, limit, order by itself */
    LM_API_EMPTY, /* 204 */
} lm_api_shape;

struct lm_api_endpoint {
    const char *method, *path; /* path below /api/v1: "/projects/{id}" */
    unsigned scope; /* the caller's key must have one of these; LM_SCOPE_NONE: open to everybody */
    const char *id_prefix; /* kind of the path's {id}; anything else there is 404 */
    const char *summary;
    const lm_schema *request; /* of the body; NULL: none is read */
    const lm_schema *reply;
    const lm_schema *query; /* NULL: no query parameters */
    lm_api_shape shape;
    int http_status; /* on success; 0: 200 (204 for LM_API_EMPTY) */
    bool has_texts;  /* ?format=csv|html gives text instead: see content_type in the context */
    lm_api_handler *handler;
};

typedef struct lm_api_table {
    const lm_api_endpoint *rows;
    size_t n_rows;
} lm_api_table;

#define LM_API_TABLE(rows) \
    { rows, LM_COUNT_OF(rows) }

enum {
    LM_API_PARAMS_MAX = 3,
    LM_API_AFTER_COMMIT_MAX = 4,
    LM_API_PAGE_DEFAULT = 50,
    LM_API_PAGE_MAX = 500
};

/* One request in a handler. Everything lives until the reply has been sent. */
struct lm_api_ctx {
    lm_cloud *cloud;
    lm_db *db;
    lm_arena *arena;
    const lm_api_endpoint *endpoint;
    lm_caller caller;   /* project_id is the one acted on: the key's, or ?project= of an operator */
    const json_t *body; /* checked against the row's request schema; NULL without one */
    const json_t *query; /* checked object of the parameters given */
    const char *params
        [LM_API_PARAMS_MAX]; /* values of the path's braces, in order; never NULL when the path has them */
    /* Filled by the handler: */
    json_t *reply;
    const char *content_type; /* of text; NULL: the reply is JSON */
    lm_buf text;
    struct {
        void (*fn)(lm_cloud *cloud, void *arg);
        void *arg;
    } after_commit[LM_API_AFTER_COMMIT_MAX];
    int n_after_commit;
};

/* Sets the reply; steals the reference. NULL is LOAM_NO_MEMORY. */
loam_status lm_api_reply(lm_api_ctx *ctx, json_t *reply, loam_error *err) LM_MUST_USE;
loam_status lm_api_reply_row(lm_api_ctx *ctx, const lm_table *table, const void *row,
                             loam_error *err) LM_MUST_USE;
/* A list's reply: steals the array; next may be NULL. */
loam_status lm_api_reply_list(lm_api_ctx *ctx, json_t *data, const char *next,
                              loam_error *err) LM_MUST_USE;

/* The page that ?after, ?limit and ?order ask for (LM_API_LIST). */
lm_page lm_api_page(const lm_api_ctx *ctx);

/* Fields of body or query after validation; fallbacks for absent and null. Borrowed from the body. */
const char *lm_api_str(const json_t *object, const char *name, const char *fallback);
int64_t lm_api_i64(const json_t *object, const char *name, int64_t fallback);
bool lm_api_bool(const json_t *object, const char *name, bool fallback);

/* A new id of the cloud's generator. */
void lm_api_new_id(lm_api_ctx *ctx, const char *prefix, char out[LM_ID_BYTES]);

/* Writes an audit event in the same transaction: who did what ("key.create") to which subject. before and after (may be
 * NULL) are borrowed. Every change goes through this. */
loam_status lm_api_event(lm_api_ctx *ctx, const char *kind, const char *subject,
                         const json_t *before, const json_t *after, loam_error *err) LM_MUST_USE;

/* fn(cloud, arg) on the store's thread once the change is durable, before the reply: caches, waking a service. arg lives in
 * the arena or longer. At most LM_API_AFTER_COMMIT_MAX a request. */
void lm_api_after_commit(lm_api_ctx *ctx, void (*fn)(lm_cloud *cloud, void *arg), void *arg);

/* All endpoint tables of api_tables.def, NULL-terminated. */
extern const lm_api_table *const lm_api_tables[];

/* Fields every row's query has besides its own: ?project= of operators, and the page of lists. */
extern const lm_schema lm_api_project_query, lm_api_list_query;

/* Kind of the id that a path's parameter must be, or NULL: the row's id_prefix for {id}, "mem" for {member}. */
const char *lm_api_param_prefix(const lm_api_endpoint *endpoint, const char *param);

/* openapi.json (3.1) of all rows. New reference. */
json_t *lm_openapi_json(void) LM_MUST_USE;

#endif
