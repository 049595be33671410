#include "server/mock_answer.h"

#include "core/mock_script.h"
#include "json/write.h"
#include "wire/h1.h"

#define K(lit)  TG_STR(lit)
#define CREATED 1700000000 /* constant: the same request gives the same bytes */

static struct tg_str answer_id(char *out, size_t cap, const struct tg_mock_job *j)
{
    int n = snprintf(out, cap, "%s-mock-%llu", j->completion ? "cmpl" : "chatcmpl",
                     (unsigned long long)j->serial);
    return tg_str_make(out, (size_t)n);
}

static void common(struct tg_jw *w, const struct tg_mock_job *j, struct tg_str object)
{
    char id[64];
    tg_jw_kstr(w, K("id"), answer_id(id, sizeof id, j));
    tg_jw_kstr(w, K("object"), object);
    tg_jw_ki64(w, K("created"), CREATED);
    tg_jw_kstr(w, K("model"), j->model);
}

static void usage(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_key(w, K("usage"));
    tg_jw_obj(w);
    tg_jw_ki64(w, K("prompt_tokens"), j->prompt_tokens);
    tg_jw_ki64(w, K("completion_tokens"), j->total);
    tg_jw_ki64(w, K("total_tokens"), (int64_t)j->prompt_tokens + j->total);
    tg_jw_end_obj(w);
}

static void all_tokens(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_str_open(w);
    for (uint32_t i = 0; i < j->total; i++)
        tg_jw_str_piece(w, tg_mock_script_token(&j->cfg, i));
    tg_jw_str_close(w);
}

static void finish_reason(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_kstr(w, K("finish_reason"), j->cut ? K("length") : K("stop"));
}

static void single_choice(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_key(w, K("choices"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_ki64(w, K("index"), 0);
    if (j->completion) {
        tg_jw_key(w, K("text"));
        all_tokens(w, j);
    } else {
        tg_jw_key(w, K("message"));
        tg_jw_obj(w);
        tg_jw_kstr(w, K("role"), K("assistant"));
        tg_jw_key(w, K("content"));
        all_tokens(w, j);
        tg_jw_kraw(w, K("refusal"), K("null"));
        tg_jw_end_obj(w);
    }
    tg_jw_kraw(w, K("logprobs"), K("null"));
    finish_reason(w, j);
    tg_jw_end_obj(w);
    tg_jw_end_arr(w);
}

/* Appending errors are sticky in the buffers: the caller tests `out` once. */
void tg_mock_json(struct tg_buf *out, int status, struct tg_str extra_header, struct tg_str body)
{
    (void)tg_h1_write_status_line(out, status);
    (void)tg_buf_printf(out, "content-type: application/json\r\ncontent-length: %zu\r\n%.*s\r\n",
                        body.n, TG_STR_ARG(extra_header));
    (void)tg_buf_str_add(out, body);
}

void tg_mock_single(struct tg_buf *out, const struct tg_mock_job *j)
{
    struct tg_buf body;
    tg_buf_init(&body, 16u << 20);
    struct tg_jw w = tg_jw(&body);
    tg_jw_obj(&w);
    common(&w, j, j->completion ? K("text_completion") : K("chat.completion"));
    single_choice(&w, j);
    usage(&w, j);
    tg_jw_end_obj(&w);
    tg_mock_json(out, 200, TG_STR(""), tg_buf_str(&body));
    tg_buf_fini(&body);
}

/* ---- streams ---- */

void tg_mock_stream_head(struct tg_buf *out)
{
    (void)tg_buf_lit(out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                          "transfer-encoding: chunked\r\ncache-control: no-cache\r\n\r\n");
}

void tg_mock_stream_event(struct tg_buf *out, struct tg_str data)
{
    char head[20];
    size_t n = tg_h1_chunk_head(head, data.n + 8);
    (void)tg_buf_add(out, head, n);
    (void)tg_buf_lit(out, "data: ");
    (void)tg_buf_str_add(out, data);
    (void)tg_buf_lit(out, "\n\n\r\n");
}

/* One chunk object; `delta` is raw JSON, `reason` raw JSON. */
static void chunk(struct tg_buf *out, const struct tg_mock_job *j, struct tg_str content, bool role,
                  bool last)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 20);
    struct tg_jw w = tg_jw(&b);
    tg_jw_obj(&w);
    common(&w, j, j->completion ? K("text_completion") : K("chat.completion.chunk"));
    tg_jw_key(&w, K("choices"));
    tg_jw_arr(&w);
    tg_jw_obj(&w);
    tg_jw_ki64(&w, K("index"), 0);
    if (j->completion) {
        tg_jw_kstr(&w, K("text"), content);
    } else {
        tg_jw_key(&w, K("delta"));
        tg_jw_obj(&w);
        if (role)
            tg_jw_kstr(&w, K("role"), K("assistant"));
        if (!last)
            tg_jw_kstr(&w, K("content"), content);
        tg_jw_end_obj(&w);
    }
    tg_jw_kraw(&w, K("logprobs"), K("null"));
    if (last)
        finish_reason(&w, j);
    else
        tg_jw_kraw(&w, K("finish_reason"), K("null"));
    tg_jw_end_obj(&w);
    tg_jw_end_arr(&w);
    tg_jw_end_obj(&w);
    tg_mock_stream_event(out, tg_buf_str(&b));
    tg_buf_fini(&b);
}

void tg_mock_stream_role(struct tg_buf *out, const struct tg_mock_job *j)
{
    if (!j->completion)
        chunk(out, j, TG_STR(""), true, false);
}

void tg_mock_stream_token(struct tg_buf *out, const struct tg_mock_job *j, uint32_t i)
{
    chunk(out, j, tg_mock_script_token(&j->cfg, i), false, false);
}

static void usage_chunk(struct tg_buf *out, const struct tg_mock_job *j)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 16);
    struct tg_jw w = tg_jw(&b);
    tg_jw_obj(&w);
    common(&w, j, j->completion ? K("text_completion") : K("chat.completion.chunk"));
    tg_jw_kraw(&w, K("choices"), K("[]"));
    usage(&w, j);
    tg_jw_end_obj(&w);
    tg_mock_stream_event(out, tg_buf_str(&b));
    tg_buf_fini(&b);
}

void tg_mock_stream_end(struct tg_buf *out, const struct tg_mock_job *j)
{
    chunk(out, j, TG_STR(""), false, true);
    if (j->usage)
        usage_chunk(out, j);
    tg_mock_stream_event(out, TG_STR("[DONE]"));
    (void)tg_buf_lit(out, "0\r\n\r\n");
}

/* ---- errors ---- */

static struct tg_str error_type(uint32_t status)
{
    if (status == 429)
        return K("rate_limit_error");
    return status < 500 ? K("invalid_request_error") : K("server_error");
}

void tg_mock_error(struct tg_buf *out, const struct tg_mock_config *c, struct tg_str message)
{
    struct tg_buf body;
    char retry[48] = "";
    int n = c->retry_after_s
                ? snprintf(retry, sizeof retry, "retry-after: %u\r\n", c->retry_after_s)
                : 0;
    tg_buf_init(&body, 1u << 16);
    struct tg_jw w = tg_jw(&body);
    tg_jw_obj(&w);
    tg_jw_key(&w, K("error"));
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("message"), message);
    tg_jw_kstr(&w, K("type"), error_type(c->status));
    tg_jw_kraw(&w, K("param"), K("null"));
    tg_jw_kstr(&w, K("code"), K("mock_error"));
    tg_jw_end_obj(&w);
    tg_jw_end_obj(&w);
    tg_mock_json(out, (int)c->status, tg_str_make(retry, (size_t)n), tg_buf_str(&body));
    tg_buf_fini(&body);
}

void tg_mock_html(struct tg_buf *out)
{
    struct tg_str page = K("<html><head><title>502 Bad Gateway</title></head><body><center>"
                           "<h1>502 Bad Gateway</h1></center></body></html>\n");
    (void)tg_buf_printf(out,
                        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n"
                        "content-length: %zu\r\n\r\n%s",
                        page.n, page.p);
}

void tg_mock_big_header(struct tg_buf *out, size_t bytes)
{
    (void)tg_buf_lit(out, "HTTP/1.1 200 OK\r\nx-big: ");
    for (size_t i = 0; i < bytes; i++)
        (void)tg_buf_char(out, 'a');
    (void)tg_buf_lit(out, "\r\ncontent-length: 2\r\n\r\n{}");
}
