/* What the users of libcurl in this folder share. */
#ifndef LM_NET_CURL_INTERNAL_H
#define LM_NET_CURL_INTERNAL_H

#include <curl/curl.h>

void lm_curl_init(void); /* before any other call; once is enough, any thread */

/* Address, headers (borrowed until the transfer ends), where curl writes its message (CURL_ERROR_SIZE), http and https
 * only, a limit on connecting. */
void lm_curl_set_common(CURL *curl, const char *url, struct curl_slist *headers, char *message);

/* Follows redirects: never from https to http, and without the Authorization header once the host, the port or the
 * protocol is another (libcurl drops it, CVE-2018-1000007 and CVE-2022-27774). */
void lm_curl_follow(CURL *curl, const char *url);

#endif
