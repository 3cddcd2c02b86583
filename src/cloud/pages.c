#include "cloud/pages.h"

#include <stdio.h>

#include "cloud/api_server.h"
#include "cloud/console_files.h"
#include "cloud/services.h"
#include "net/metrics.h"

enum { METRICS_MAX_BYTES = 4 << 20 };

/* The console loads nothing from elsewhere, runs no inline code, and is shown in nobody's frame. */
static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src "
    "'self'; "
    "connect-src 'self'; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors "
    "'none'";

static const char *content_type_of(const char *name) {
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".json", "application/json"},
        {".woff2", "font/woff2"},
    };
    for (size_t i = 0; i < LM_COUNT_OF(types); i++) {
        if (lm_str_ends(lm_str_of(name), lm_str_of(types[i].ending))) return types[i].type;
    }
    return "application/octet-stream";
}

static void on_file(lm_http_request *request, void *arg) {
    const lm_asset *file = arg;
    lm_http_reply_header(request, "Content-Security-Policy", content_security_policy);
    lm_http_reply_header(request, "X-Content-Type-Options", "nosniff");
    lm_http_reply_header(request, "Referrer-Policy", "no-referrer");
    lm_http_reply_header(request, "Cache-Control", "no-cache");
    lm_http_reply(request, 200, content_type_of(file->name),
                  (lm_str){file->bytes, file->size_bytes});
}

static void on_no_console(lm_http_request *request, void *arg) {
    lm_http_reply(request, 200, "text/plain; charset=utf-8",
                  LM_STR("This loam was built without its web console. The API is under /api/v1, "
                         "its description at "
                         "/api/v1/openapi.json.\n"));
}

static void on_health(lm_http_request *request, void *arg) {
    const lm_cloud *cloud = arg;
    lm_http_reply_json(request, cloud->stopping ? 503 : 200,
                       json_pack("{s:s}", "status", cloud->stopping ? "stopping" : "ok"));
}

static void put_api_metrics(lm_cloud *cloud, lm_buf *out) {
    lm_api_stats stats = lm_api_server_stats(cloud->api);
    lm_metric(out, "loam_api_requests_total", "counter", "Requests to the REST API.",
              (double)stats.n_requests);
    lm_metric(out, "loam_api_refused_total", "counter",
              "Of those, answered with a status of 400 to 499.", (double)stats.n_refused);
    lm_metric(out, "loam_api_failed_total", "counter",
              "Of those, answered with a status of 500 and above.", (double)stats.n_failed);
    lm_metric(out, "loam_store_queue_jobs", "gauge", "Jobs that wait for the store.",
              (double)lm_store_queue_len(cloud->store));
}

static void on_metrics(lm_http_request *request, void *arg) {
    lm_cloud *cloud = arg;
    lm_buf out;
    lm_buf_init(&out, METRICS_MAX_BYTES);
    lm_metrics_process(&out, cloud->started_ms);
    put_api_metrics(cloud, &out);
    lm_services_metrics(cloud, &out);
    lm_http_reply(request, 200, LM_METRICS_CONTENT_TYPE, lm_buf_view(&out));
    lm_buf_deinit(&out);
}

static loam_status add_route(lm_cloud *cloud, const char *path, lm_http_handler *handler,
                             const void *arg, loam_error *err) {
    lm_http_route route = {"GET", path, handler, (void *)arg};
    return lm_vec_push(&cloud->routes, route) ? LOAM_OK : lm_error_no_memory(err, sizeof route);
}

/* The table's names have no leading slash, a route's path does. */
static loam_status add_file(lm_cloud *cloud, const lm_asset *file, loam_error *err) {
    char *path = lm_arena_printf(&cloud->arena, "/%s", file->name);
    if (!path) return lm_error_no_memory(err, 0);
    LM_TRY(add_route(cloud, path, on_file, file, err));
    return strcmp(file->name, "index.html") == 0 ? add_route(cloud, "/", on_file, file, err)
                                                 : LOAM_OK;
}

loam_status lm_pages_add_routes(lm_cloud *cloud, loam_error *err) {
    for (const lm_asset *file = lm_console_files; file->name; file++)
        LM_TRY(add_file(cloud, file, err));
    if (!lm_console_files[0].name) LM_TRY(add_route(cloud, "/", on_no_console, NULL, err));
    LM_TRY(add_route(cloud, "/health", on_health, cloud, err));
    return add_route(cloud, "/metrics", on_metrics, cloud, err);
}
