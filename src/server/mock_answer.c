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

static void detail(struct tg_jw *w, struct tg_str object, struct tg_str key, int64_t n)
{
    if (n == 0)
        return;
    tg_jw_key(w, object);
    tg_jw_obj(w);
    tg_jw_ki64(w, key, n);
    tg_jw_end_obj(w);
}

static void usage(struct tg_jw *w, const struct tg_mock_job *j)
{
    const struct tg_usage *u = &j->player.usage;
    tg_jw_key(w, K("usage"));
    tg_jw_obj(w);
    tg_jw_ki64(w, K("prompt_tokens"), tg_usage_prompt(u));
    tg_jw_ki64(w, K("completion_tokens"), tg_usage_completion(u));
    tg_jw_ki64(w, K("total_tokens"), tg_usage_total(u));
    detail(w, K("prompt_tokens_details"), K("cached_tokens"), u->cache_read_tokens);
    detail(w, K("completion_tokens_details"), K("reasoning_tokens"), u->reasoning_tokens);
    tg_jw_end_obj(w);
}

/* What of a part was played. */
static struct tg_str played(const struct tg_mock_job *j, size_t part)
{
    return tg_str_first(j->player.answer.parts[part].text, j->player.at[part]);
}

static void plain_text(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_str_open(w);
    for (uint32_t i = 0; i < j->player.sent; i++)
        tg_jw_str_piece(w, tg_mock_script_token(&j->cfg, i));
    tg_jw_str_close(w);
}

/* The text of the part of that kind; without one null, or nothing at all. */
static void text_of(struct tg_jw *w, const struct tg_mock_job *j, struct tg_str key,
                    enum tg_part_kind kind, bool or_null)
{
    const struct tg_mock_answer *a = &j->player.answer;
    size_t i = 0;
    while (i < a->n_parts && a->parts[i].kind != kind)
        i++;
    if (i < a->n_parts)
        tg_jw_kstr(w, key, played(j, i));
    else if (or_null)
        tg_jw_kraw(w, key, K("null"));
}

static void tool_calls(struct tg_jw *w, const struct tg_mock_job *j)
{
    const struct tg_mock_answer *a = &j->player.answer;
    bool any = false;
    for (size_t i = 0; i < a->n_parts; i++) {
        if (a->parts[i].kind != TG_PART_TOOL_CALL || j->player.at[i] == 0)
            continue;
        if (!any) {
            tg_jw_key(w, K("tool_calls"));
            tg_jw_arr(w);
        }
        any = true;
        tg_jw_obj(w);
        tg_jw_kstr(w, K("id"), a->parts[i].id);
        tg_jw_kstr(w, K("type"), K("function"));
        tg_jw_key(w, K("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, K("name"), a->parts[i].name);
        tg_jw_kstr(w, K("arguments"), played(j, i));
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    }
    if (any)
        tg_jw_end_arr(w);
}

static void finish_reason(struct tg_jw *w, const struct tg_mock_job *j)
{
    enum tg_finish f = j->player.cut ? TG_FINISH_LENGTH : j->player.answer.finish;
    tg_jw_kstr(w, K("finish_reason"), tg_str_c(tg_finish_name(f)));
}

static void message(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_key(w, K("message"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("role"), K("assistant"));
    if (j->player.answer.parts) {
        text_of(w, j, K("content"), TG_PART_TEXT, true);
        text_of(w, j, K("reasoning_content"), TG_PART_REASONING, false);
        tool_calls(w, j);
    } else {
        tg_jw_key(w, K("content"));
        plain_text(w, j);
    }
    tg_jw_kraw(w, K("refusal"), K("null"));
    tg_jw_end_obj(w);
}

static void single_choice(struct tg_jw *w, const struct tg_mock_job *j)
{
    tg_jw_key(w, K("choices"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_ki64(w, K("index"), 0);
    if (!j->completion) {
        message(w, j);
    } else if (j->player.answer.parts) {
        text_of(w, j, K("text"), TG_PART_TEXT, true);
    } else {
        tg_jw_key(w, K("text"));
        plain_text(w, j);
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

void tg_mock_single(struct tg_buf *out, struct tg_mock_job *j)
{
    struct tg_buf body;
    struct tg_event ev;
    while (tg_mock_player_next(&j->player, &ev))
        continue;
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

/* A call's beginning, or more of its arguments. Calls are counted without the other parts. */
static void call_delta(struct tg_jw *w, const struct tg_mock_job *j, const struct tg_event *ev)
{
    size_t index = 0;
    for (size_t i = 0; i < ev->part; i++)
        index += j->player.answer.parts[i].kind == TG_PART_TOOL_CALL;
    bool start = ev->kind == TG_EV_PART_START;
    tg_jw_key(w, K("tool_calls"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_ki64(w, K("index"), (int64_t)index);
    if (start) {
        tg_jw_kstr(w, K("id"), ev->id);
        tg_jw_kstr(w, K("type"), K("function"));
    }
    tg_jw_key(w, K("function"));
    tg_jw_obj(w);
    if (start)
        tg_jw_kstr(w, K("name"), ev->name);
    tg_jw_kstr(w, K("arguments"), ev->text);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    tg_jw_end_arr(w);
}

static void delta(struct tg_jw *w, const struct tg_mock_job *j, const struct tg_event *ev)
{
    tg_jw_key(w, K("delta"));
    tg_jw_obj(w);
    if (ev->kind == TG_EV_START)
        tg_jw_kstr(w, K("role"), K("assistant"));
    if (ev->kind == TG_EV_START || (ev->kind == TG_EV_DELTA && ev->part_kind == TG_PART_TEXT))
        tg_jw_kstr(w, K("content"), ev->text);
    else if (ev->part_kind == TG_PART_TOOL_CALL)
        call_delta(w, j, ev);
    else if (ev->kind == TG_EV_DELTA)
        tg_jw_kstr(w, K("reasoning_content"), ev->text);
    tg_jw_end_obj(w);
}

/* One chunk object: START, PART_START of a call, DELTA or FINISH. */
static void chunk(struct tg_buf *out, const struct tg_mock_job *j, const struct tg_event *ev)
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
    if (j->completion)
        tg_jw_kstr(&w, K("text"), ev->kind == TG_EV_DELTA ? ev->text : TG_STR(""));
    else
        delta(&w, j, ev);
    tg_jw_kraw(&w, K("logprobs"), K("null"));
    if (ev->kind == TG_EV_FINISH)
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
    struct tg_event start = {.kind = TG_EV_START, .text = TG_STR("")};
    if (!j->completion)
        chunk(out, j, &start);
}

void tg_mock_stream_play(struct tg_buf *out, const struct tg_mock_job *j, const struct tg_event *ev)
{
    bool call = ev->part_kind == TG_PART_TOOL_CALL;
    if (j->completion && ev->part_kind != TG_PART_TEXT)
        return;
    if (ev->kind == TG_EV_DELTA || (ev->kind == TG_EV_PART_START && call))
        chunk(out, j, ev);
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
    struct tg_event end = {.kind = TG_EV_FINISH, .text = TG_STR("")};
    chunk(out, j, &end);
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
