/* What the mock provider was sent, one line of JSON a request:
 *   {"n":1,"method":"POST","target":"/v1/chat/completions","headers":[["host","…"],…],"body":…}
 * The body is the client's own text, its line ends between tokens made blanks; what is not JSON is
 * a string. Header names are in lower case. Nothing is masked: the file is its owner's alone. */
#ifndef TG_SERVER_MOCK_RECORD_H
#define TG_SERVER_MOCK_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "wire/http.h"

/* Opens the file for appending (mode 0600), emptied before: a descriptor, or TG_E_IO with errno. */
int tg_mock_record_open(const char *file) TG_WARN_UNUSED;
/* Appends the line; a failed write is TG_E_IO, and the line may be cut. */
int tg_mock_record(int fd, uint64_t n, const struct tg_http_head *head, struct tg_str body,
                   bool is_json) TG_WARN_UNUSED;

#endif
