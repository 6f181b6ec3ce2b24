/* http: a request of HTTP/1.1 (RFC 9112), as much of it as who serves one page has to understand. */
#ifndef HTTP_H
#define HTTP_H
#include "base/bytes.h"
#include <stdbool.h>

#define HTTP_REQUEST_MAX 4096

enum http_result {
	HTTP_MORE,    /* good so far, and not all of it */
	HTTP_DONE,    /* the whole head; a body is not looked at */
	HTTP_BAD,     /* 400 */
	HTTP_LARGE,   /* 431: more than HTTP_REQUEST_MAX */
	HTTP_VERSION, /* 505 */
};

struct http_request {
	enum { HTTP_GET, HTTP_HEAD, HTTP_OTHER } method;
	struct bytes path; /* without the query; points into the text */
};

/* The whole text received so far, each time anew. *out is filled with HTTP_DONE only. */
enum http_result http_parse(struct bytes text, struct http_request *out);
/* "404 Not Found". */
const char *http_status(unsigned code);
#endif
