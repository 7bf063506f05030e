#pragma once
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>
// libcurl's setters and getters are variadic, and Swift does not import those: one typed shim for each class of argument.
static inline CURLcode vg_easy_long(CURL *handle, CURLoption option, long value)
{ return curl_easy_setopt(handle, option, value); }
static inline CURLcode vg_easy_large(CURL *handle, CURLoption option, curl_off_t value)
{ return curl_easy_setopt(handle, option, value); }
static inline CURLcode vg_easy_text(CURL *handle, CURLoption option, const char *value)
{ return curl_easy_setopt(handle, option, value); }
static inline CURLcode vg_easy_pointer(CURL *handle, CURLoption option, void *value)
{ return curl_easy_setopt(handle, option, value); }
static inline CURLcode vg_easy_copied_body(CURL *handle, const void *bytes)
{ return curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, bytes); }
static inline CURLcode vg_easy_headers(CURL *handle, struct curl_slist *list)
{ return curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list); }
// libcurl copies the bytes.
static inline CURLcode vg_easy_blob(CURL *handle, CURLoption option, const void *bytes, size_t count)
{
    struct curl_blob blob = { (void *)bytes, count, CURL_BLOB_COPY };
    return curl_easy_setopt(handle, option, &blob);
}

typedef size_t (*vg_data_callback)(char *bytes, size_t size, size_t count, void *user);
// For CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION.
static inline CURLcode vg_easy_data(CURL *handle, CURLoption option, vg_data_callback callback)
{ return curl_easy_setopt(handle, option, callback); }
typedef int (*vg_before_callback)(void *user, char *, char *, int, int);
static inline CURLcode vg_easy_before_request(CURL *handle, vg_before_callback callback)
{ return curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, callback); }

static inline CURLcode vg_info_long(CURL *handle, CURLINFO info, long *value)
{ return curl_easy_getinfo(handle, info, value); }

static inline CURLMcode vg_multi_long(CURLM *multi, CURLMoption option, long value)
{ return curl_multi_setopt(multi, option, value); }
static inline CURLMcode vg_multi_pointer(CURLM *multi, CURLMoption option, void *value)
{ return curl_multi_setopt(multi, option, value); }
typedef int (*vg_socket_callback)(CURL *, curl_socket_t, int, void *, void *);
static inline CURLMcode vg_multi_socket(CURLM *multi, vg_socket_callback callback)
{ return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, callback); }
typedef int (*vg_timer_callback)(CURLM *, long, void *);
static inline CURLMcode vg_multi_timer(CURLM *multi, vg_timer_callback callback)
{ return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, callback); }

// CURLMsg.data is an anonymous union.
static inline CURLcode vg_message_result(const CURLMsg *message) { return message->data.result; }

// Macros that the importer does not see: a cast, an enumeration's or a long's value.
static inline curl_socket_t vg_socket_timeout(void) { return CURL_SOCKET_TIMEOUT; }
static inline long vg_global_default(void) { return CURL_GLOBAL_DEFAULT; }
static inline long vg_http_version_2_over_tls(void) { return CURL_HTTP_VERSION_2TLS; }
static inline long vg_tls_1_2_at_least(void) { return CURL_SSLVERSION_TLSv1_2; }
