/* The way of a REST request: from its route on an event loop to a handler on the store's thread and back. */
#ifndef LM_CLOUD_API_SERVER_H
#define LM_CLOUD_API_SERVER_H

#include "cloud/api.h"
#include "net/http_server.h"

typedef struct lm_api_server lm_api_server;

/* Adds a route for every row of the endpoint tables to the cloud's routes. The server must outlive the HTTP servers. */
loam_status lm_api_server_new(lm_cloud *cloud, lm_api_server **out, loam_error *err) LM_MUST_USE;
void lm_api_server_free(lm_api_server *server);

/* The REST API's error shape, with an HTTP status of its own. hint may be NULL. */
void lm_api_reply_error(lm_http_request *request, int http_status, const char *code,
                        const char *message, const char *hint);

/* For metrics. Any thread. */
typedef struct lm_api_stats {
    int64_t n_requests, n_refused, n_failed; /* all; of those answered 4xx; 5xx */
} lm_api_stats;
lm_api_stats lm_api_server_stats(const lm_api_server *server);

#endif
