#include "server/mock_record.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/write.h"

#define MAX_LINE (256u << 20)

int tg_mock_record_open(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? TG_E_IO : fd;
}

static void lower(struct tg_jw *w, struct tg_str name)
{
    tg_jw_str_open(w);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        char small = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        tg_jw_str_piece(w, tg_str_make(&small, 1));
    }
    tg_jw_str_close(w);
}

static void headers(struct tg_jw *w, const struct tg_http_head *head)
{
    tg_jw_key(w, TG_STR("headers"));
    tg_jw_arr(w);
    for (size_t i = 0; i < head->n_headers; i++) {
        tg_jw_arr(w);
        lower(w, head->headers[i].name);
        tg_jw_str(w, head->headers[i].value);
        tg_jw_end_arr(w);
    }
    tg_jw_end_arr(w);
}

static int write_all(int fd, struct tg_str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return TG_E_IO;
        s = tg_str_from(s, (size_t)n);
    }
    return 0;
}

int tg_mock_record(int fd, uint64_t n, const struct tg_http_head *head, struct tg_str body,
                   bool is_json)
{
    struct tg_buf b;
    tg_buf_init(&b, MAX_LINE);
    struct tg_jw w = tg_jw(&b);
    tg_jw_obj(&w);
    tg_jw_ki64(&w, TG_STR("n"), (int64_t)n);
    tg_jw_kstr(&w, TG_STR("method"), tg_str_c(tg_http_method_name(head->method)));
    tg_jw_kstr(&w, TG_STR("target"), head->target);
    headers(&w, head);
    tg_jw_key(&w, TG_STR("body"));
    size_t from = b.n;
    if (is_json)
        tg_jw_raw(&w, body);
    else
        tg_jw_str(&w, body);
    tg_buf_one_line(&b, from);
    tg_jw_end_obj(&w);
    (void)tg_buf_char(&b, '\n');
    int rc = tg_buf_ok(&b) ? write_all(fd, tg_buf_str(&b)) : TG_E_NOMEM;
    tg_buf_fini(&b);
    return rc;
}
