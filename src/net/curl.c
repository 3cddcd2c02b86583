#include "net/curl_internal.h"

#include <pthread.h>
#include <stdbool.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 10000, MAX_REDIRECTS = 8 };

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void lm_curl_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
}

void lm_curl_set_common(CURL *curl, const char *url, struct curl_slist *headers, char *message) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "loam/" LOAM_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
}

void lm_curl_follow(CURL *curl, const char *url) {
    bool secure = strncasecmp(url, "https:", 6) == 0;
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
}
