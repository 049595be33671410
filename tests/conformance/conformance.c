/* Plays recorded exchanges with real providers through every codec and counts what holds:
 *
 *   passed    client and provider speak the same format: the answer's bytes come out as they came,
 *             for several ways of cutting them; a broken answer is known as broken
 *   encoded   the request, parsed to the canonical form and encoded anew for the same provider, has
 *             the same members with the same values
 *   errors    an error answer gives a failure with its status and message
 *   items     an answer that is no text gives its vectors, ranks, verdicts or count, and ends
 *   rendered  the answer, decoded and rendered in each client format, streamed as it came, is
 *             well formed to the end
 *
 * conformance FOLDER prints the score; the exit code is 1 when anything failed. The folder has one
 * folder per case: request.json, response.json and the answer's body. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "json/json.h"
#include "wire/sse.h"

#define MAX_PROVIDERS 64
#define MAX_PENDING   (8u << 20)

/* ---- what speaks what ---- */

static const struct format {
    const char *api;
    const struct tg_dialect *dialect;
    const struct tg_adapter *adapter;
    enum tg_chat_task task; /* where no dialect says it */
} formats[] = {
    {"openai-chat", &tg_dialect_openai_chat, &tg_adapter_openai},
    {"openai-completions", &tg_dialect_openai_completions, &tg_adapter_openai},
    {"openai-responses", &tg_dialect_responses, &tg_adapter_openai_responses},
    {"openai-embeddings", &tg_dialect_openai_embeddings, &tg_adapter_openai},
    {"openai-moderations", &tg_dialect_openai_moderations, &tg_adapter_openai},
    {"anthropic-messages", &tg_dialect_anthropic, &tg_adapter_anthropic},
    {"anthropic-count-tokens", &tg_dialect_anthropic_count, &tg_adapter_anthropic},
    {"gemini-generate", &tg_dialect_gemini, &tg_adapter_gemini},
    {"gemini-stream", &tg_dialect_gemini, &tg_adapter_gemini},
    {"gemini-count-tokens", &tg_dialect_gemini_count, &tg_adapter_gemini},
    {"gemini-embed", &tg_dialect_gemini_embed, &tg_adapter_gemini},
    {"ollama-chat", &tg_dialect_ollama_chat, &tg_adapter_ollama},
    {"ollama-generate", &tg_dialect_ollama_generate, &tg_adapter_ollama},
    {"ollama-embed", &tg_dialect_ollama_embed, &tg_adapter_ollama},
    /* no client speaks these: their answers are decoded and rendered only */
    {"bedrock-converse", NULL, &tg_adapter_bedrock},
    {"bedrock-converse-stream", NULL, &tg_adapter_bedrock},
    {"bedrock-invoke", NULL, &tg_adapter_bedrock_invoke},
    {"bedrock-invoke-with-response-stream", NULL, &tg_adapter_bedrock_invoke},
    {"bedrock-count-tokens", NULL, &tg_adapter_bedrock, TG_TASK_COUNT},
    {"cohere-v2-chat", NULL, &tg_adapter_cohere},
    {"cohere-v2-embed", NULL, &tg_adapter_cohere, TG_TASK_EMBED},
    {"cohere-v2-rerank", &tg_dialect_rerank, &tg_adapter_cohere},
    {"hf-inference", NULL, &tg_adapter_huggingface},
    {"vertex-rawpredict", NULL, &tg_adapter_vertex_claude},
};

static const struct tg_dialect *const clients[] = {
    &tg_dialect_openai_chat, &tg_dialect_openai_completions,
    &tg_dialect_responses,   &tg_dialect_anthropic,
    &tg_dialect_gemini,      &tg_dialect_ollama_chat,
    &tg_dialect_generate,    &tg_dialect_simple_chat,
};
#define N_CLIENTS (sizeof clients / sizeof *clients)

/* ---- the score ---- */

struct tally {
    unsigned good, all;
};

static struct score {
    char name[48];
    unsigned cases, unknown; /* unknown: in formats that no adapter speaks */
    struct tally passed, encoded, errors, items, rendered[N_CLIENTS];
} scores[MAX_PROVIDERS];
static size_t n_scores;
static unsigned failures;

static struct score *score_of(struct tg_str provider)
{
    for (size_t i = 0; i < n_scores; i++) {
        if (tg_str_eq(tg_str_c(scores[i].name), provider))
            return &scores[i];
    }
    if (n_scores == MAX_PROVIDERS)
        abort();
    struct score *s = &scores[n_scores++];
    tg_str_to_c(provider, s->name, sizeof s->name);
    return s;
}

static void note(struct tally *t, bool good, const char *name, const char *what)
{
    t->all++;
    t->good += good;
    if (good)
        return;
    failures++;
    (void)fprintf(stderr, "%s: %s\n", name, what);
}

/* ---- cases ---- */

struct kase {
    struct tg_arena arena;
    const char *name;
    struct tg_str provider, api, request, body, stream_end;
    bool synthesised, stream, asked_stream;
    int status;
    const struct format *format;
};

static struct tg_str read_file(struct tg_arena *a, const char *dir, const char *name,
                               const char *file)
{
    char path[4096];
    struct stat st;
    struct tg_str out = {NULL, 0};
    snprintf(path, sizeof path, "%s/%s/%s", dir, name, file);
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) != 0) {
        if (f)
            (void)fclose(f);
        return out;
    }
    char *p = tg_arena_alloc(a, (size_t)st.st_size + 1);
    size_t n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    (void)fclose(f);
    return n == (size_t)st.st_size ? tg_str_make(p, n) : out;
}

static const struct tg_json *parse(struct tg_arena *a, struct tg_str text,
                                   struct tg_json_doc **out_doc)
{
    if (!text.p || tg_json_parse(a, text, NULL, out_doc, NULL))
        return NULL;
    return tg_json_root(*out_doc);
}

static bool load(struct kase *k, const char *dir, const char *name)
{
    struct tg_json_doc *doc;
    char file[256];
    int64_t status;
    k->name = name;
    tg_arena_init(&k->arena, 64 * 1024, 1u << 30);
    const struct tg_json *root =
        parse(&k->arena, read_file(&k->arena, dir, name, "request.json"), &doc);
    if (!root)
        return false;
    k->provider = tg_json_get_str(root, TG_STR("provider"));
    k->api = tg_json_get_str(root, TG_STR("api"));
    k->synthesised = tg_json_true(tg_json_get(root, TG_STR("body_synthesised")));
    k->asked_stream = tg_json_true(tg_json_get(root, TG_STR("stream")));
    const struct tg_json *body = tg_json_get(root, TG_STR("body"));
    k->request = body ? tg_json_raw(doc, body) : TG_STR("");
    root = parse(&k->arena, read_file(&k->arena, dir, name, "response.json"), &doc);
    if (!root || tg_json_i64(tg_json_get(root, TG_STR("status")), &status))
        return false;
    k->status = (int)status;
    k->stream = tg_json_is_str(tg_json_get(root, TG_STR("stream")));
    k->stream_end = tg_json_get_str(root, TG_STR("stream_end"));
    tg_str_to_c(tg_json_get_str(root, TG_STR("body_file")), file, sizeof file);
    k->body = read_file(&k->arena, dir, name, file);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (tg_str_eq(k->api, tg_str_c(formats[i].api)))
            k->format = &formats[i];
    }
    return k->body.p != NULL;
}

/* A stream that ended as its provider means it to. */
static bool ended_well(const struct kase *k)
{
    return !k->stream || tg_str_starts(k->stream_end, TG_STR("ok"));
}

/* ---- decoding ---- */

struct run {
    struct tg_sink sink;
    struct tg_buf raw;
    unsigned ends, errors, items;
    /* rendering, where wanted */
    const struct tg_dialect *client;
    struct tg_render_info info;
    void *render;
    struct tg_buf out;
    struct tg_usage usage;
    int rc;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct run *r = tg_container_of(s, struct run, sink);
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    r->items += ev->kind == TG_EV_ITEM;
    if (ev->kind == TG_EV_USAGE)
        r->usage = *ev->usage;
    if (r->client && !r->rc && ev->kind != TG_EV_END && ev->kind != TG_EV_ERROR)
        r->rc = r->client->render(r->render, &r->info, ev, &r->out);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide TG_UNUSED)
{
    struct run *r = tg_container_of(s, struct run, sink);
    (void)tg_buf_str_add(&r->raw, raw); /* tested by comparing */
}

static enum tg_chat_task task_of(const struct format *f)
{
    return f->dialect ? f->dialect->task : f->task;
}

/* Feeds the body in pieces: 0 whole, else of a size that changes from that seed. */
static void feed(const struct kase *k, struct run *r, bool tap, unsigned cut)
{
    const struct tg_adapter *ad = k->format->adapter;
    const struct tg_dialect *d = k->format->dialect;
    struct tg_adapter_response resp = {.stream = k->stream,
                                       .tap = tap,
                                       .format = d ? d->format : ad->api,
                                       .task = task_of(k->format),
                                       .max_pending_bytes = MAX_PENDING};
    struct tg_http_head head = {.status = k->status};
    void *state = tg_calloc(1, ad->state_bytes + 1);
    struct tg_str rest = k->body;
    unsigned seed = cut;
    int rc = ad->begin(state, &resp);
    if (rc == 0)
        rc = ad->on_head(state, &head);
    while (rc == 0 && rest.n) {
        seed = seed * 1103515245u + 12345u;
        size_t n = cut ? 1 + (seed >> 16) % (cut * 2) : rest.n;
        n = n < rest.n ? n : rest.n;
        char *piece = tg_xcalloc(1, n); /* a view that is kept too long is caught */
        memcpy(piece, rest.p, n);
        rc = ad->on_bytes(state, tg_str_make(piece, n), &r->sink);
        tg_free(piece);
        rest = tg_str_from(rest, n);
    }
    if (rc == 0)
        (void)ad->on_end(state, true, &r->sink); /* what it says is in the events */
    if (ad->fini)
        ad->fini(state);
    tg_free(state);
}

/* A blank line may be added to the last block that lacks it, and blank lines behind the provider's
 * own end are left out; nothing else. */
static bool same_bytes(struct tg_str passed, struct tg_str body)
{
    if (tg_str_starts(passed, body))
        return tg_str_trim(tg_str_from(passed, body.n)).n == 0;
    return tg_str_starts(body, passed) && tg_str_trim(tg_str_from(body, passed.n)).n == 0;
}

static bool passes(const struct kase *k, unsigned cut)
{
    struct run r = {.sink = {on_event, on_raw}};
    tg_buf_init(&r.raw, SIZE_MAX / 4);
    feed(k, &r, true, cut);
    struct tg_str raw = tg_buf_str(&r.raw);
    bool good = r.ends + r.errors == 1;
    if (ended_well(k))
        good = good && r.ends == 1 && same_bytes(raw, k->body);
    else
        good = good && r.errors == 1 && tg_str_starts(k->body, raw);
    tg_buf_fini(&r.raw);
    return good;
}

/* ---- requests ---- */

static bool same(const struct tg_json *a, const struct tg_json *b);

static bool nothing(const struct tg_json *v)
{
    return tg_json_is_nil(v) || (tg_json_is_bool(v) && !tg_json_true(v)) ||
           ((tg_json_is_arr(v) || tg_json_is_obj(v)) && !tg_json_count(v)) ||
           (tg_json_is_str(v) && !tg_json_str(v).n);
}

static bool same_list(const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a), jt = tg_json_iter(b);
    if (tg_json_count(a) != tg_json_count(b))
        return false;
    while (tg_json_next(&it) && tg_json_next(&jt)) {
        if (!same(it.value, jt.value))
            return false;
    }
    return true;
}

static bool same_object(const struct tg_json *a, const struct tg_json *b)
{
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? b : a);
        while (tg_json_next(&it)) {
            const struct tg_json *other = tg_json_get(way ? a : b, it.name);
            if (!same(it.value, other))
                return false;
        }
    }
    return true;
}

static bool same(const struct tg_json *a, const struct tg_json *b)
{
    double x, y;
    if (nothing(a) && nothing(b))
        return true;
    if (tg_json_type(a) != tg_json_type(b))
        return false;
    if (tg_json_is_obj(a))
        return same_object(a, b);
    if (tg_json_is_arr(a))
        return same_list(a, b);
    if (tg_json_is_num(a))
        return tg_json_double(a, &x) == 0 && tg_json_double(b, &y) == 0 && x == y;
    if (!tg_json_is_str(a))
        return true;
    struct tg_str models = TG_STR("models/"); /* Google's bodies name the model inside */
    return tg_str_eq(tg_json_str(a), tg_json_str(b)) ||
           (tg_str_starts(tg_json_str(a), models) && tg_str_starts(tg_json_str(b), models));
}

/* The first member that differs; "" when none does. Members that say which model and whether to
 * stream are in the path for some. */
static struct tg_str difference(const struct tg_json *old, const struct tg_json *new)
{
    static const struct tg_str system = TG_STR_INIT("systemInstruction");
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? new : old);
        while (tg_json_next(&it)) {
            bool free = tg_str_eq(it.name, TG_STR("model")) ||
                        tg_str_eq(it.name, TG_STR("stream")) ||
                        tg_str_eq(it.name, TG_STR("stream_options"));
            const struct tg_json *other = tg_json_get(way ? old : new, it.name);
            if (tg_str_eq(it.name, system) && /* its role means nothing to Google */
                same(tg_json_get(it.value, TG_STR("parts")), tg_json_get(other, TG_STR("parts"))))
                continue;
            if (!free && !same(it.value, other))
                return it.name;
        }
    }
    return TG_STR("");
}

static void check_request(struct kase *k, struct score *s)
{
    const struct tg_dialect *d = k->format->dialect;
    struct tg_adapter_target target = {.model = TG_STR("m")};
    struct tg_adapter_request out;
    struct tg_call call = {.dialect = d};
    struct tg_chat_req req;
    struct tg_json_doc *doc;
    struct tg_fail f;
    char what[1200];
    tg_fail_clear(&f);
    int rc = d->open(&k->arena, NULL, k->request, &call, &f);
    if (rc == 0)
        rc = d->parse(&k->arena, &call, &req, &f);
    if (rc == 0)
        rc = k->format->adapter->encode(&k->arena, &req, &target, &out, &f);
    snprintf(what, sizeof what, "request: %s", f.message);
    bool good = rc == 0;
    if (good) {
        struct tg_str diff =
            difference(parse(&k->arena, k->request, &doc), parse(&k->arena, out.body, &doc));
        good = diff.n == 0;
        snprintf(what, sizeof what, "request: member %.*s differs", TG_STR_ARG(diff));
    }
    note(&s->encoded, good, k->name, what);
}

/* ---- answers in other formats ---- */

/* Every event's data is JSON, but for the mark of the end. */
static bool well_formed_events(struct tg_arena *a, struct tg_str text)
{
    struct tg_sse_dec dec;
    struct tg_sse_event ev;
    struct tg_json_doc *doc;
    bool good = true;
    int rc;
    tg_sse_dec_init(&dec, MAX_PENDING);
    while ((rc = tg_sse_next(&dec, &text, &ev)) > 0) {
        if (ev.has_data && !tg_str_eq(ev.data, TG_STR("[DONE]")))
            good = good && parse(a, ev.data, &doc);
    }
    good = good && rc == 0 && !tg_sse_pending(&dec);
    tg_sse_dec_fini(&dec);
    return good;
}

static bool well_formed(struct tg_arena *a, const struct tg_dialect *d, bool stream,
                        struct tg_str text)
{
    struct tg_json_doc *doc;
    struct tg_str line;
    if (!stream)
        return parse(a, text, &doc) != NULL;
    if (strcmp(d->stream_content_type, "text/event-stream") == 0)
        return well_formed_events(a, text);
    while (tg_str_split(&text, '\n', &line)) {
        if (line.n && !parse(a, line, &doc))
            return false;
    }
    return true;
}

/* What every client's request needs, in one. */
static const char *const minimal =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"prompt\":\"x\","
    "\"message\":\"x\",\"input\":\"x\",\"max_tokens\":5,"
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}]}";

static bool renders(struct kase *k, const struct tg_dialect *d)
{
    struct run r = {.sink = {on_event, NULL}, .client = d};
    bool stream = k->stream && d != &tg_dialect_simple_chat;
    struct tg_call call = {.dialect = d};
    struct tg_fail f;
    tg_fail_clear(&f);
    const char *body = d == &tg_dialect_responses ? "{\"model\":\"m\",\"input\":\"x\"}" : minimal;
    if (d->open(&k->arena, NULL, tg_str_c(body), &call, &f)) {
        (void)fprintf(stderr, "%s: %s\n", d->name, f.message);
        return false;
    }
    call.stream = stream;
    r.info = (struct tg_render_info){
        .id = TG_STR("chatcmpl-1"),
        .request_id = TG_STR("req_1"),
        .model = TG_STR("m"),
        .provider = TG_STR("p"),
        .created_s = 1700000000,
        .stream = stream,
        .include_usage = true,
        .call = &call,
        .arena = &k->arena,
    };
    tg_buf_init(&r.out, SIZE_MAX / 4);
    r.render = tg_xcalloc(1, d->state_bytes + 1);
    r.rc = d->begin(r.render, &r.info);
    feed(k, &r, false, 13);
    bool good = r.rc == 0 && r.ends == 1;
    if (good)
        good = d->finish(r.render, &r.info, &r.usage, 1000, &r.out) == 0;
    good = good && r.out.n && well_formed(&k->arena, d, stream, tg_buf_str(&r.out));
    if (d->fini)
        d->fini(r.render);
    tg_free(r.render);
    tg_buf_fini(&r.out);
    return good;
}

/* What a translation of it would have to work with. */
static bool has_items(const struct kase *k)
{
    static const unsigned cuts[] = {0, 1, 17};
    bool good = true;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct run r = {.sink = {on_event, NULL}};
        feed(k, &r, false, cuts[i]);
        bool any = task_of(k->format) == TG_TASK_COUNT ? r.usage.input_tokens > 0 : r.items > 0;
        good = good && r.ends == 1 && r.errors == 0 && any;
    }
    return good;
}

static void check_answer(struct kase *k, struct score *s)
{
    static const unsigned cuts[] = {0, 1, 3, 17, 400};
    const struct tg_dialect *d = k->format->dialect;
    bool good = true;
    for (size_t i = 0; d && i < sizeof cuts / sizeof *cuts; i++)
        good = good && passes(k, cuts[i]);
    if (d)
        note(&s->passed, good, k->name, "answer: not passed as it came");
    if (task_of(k->format) != TG_TASK_CHAT)
        note(&s->items, has_items(k), k->name, "answer: no items, or no good end");
    if (task_of(k->format) != TG_TASK_CHAT || !ended_well(k))
        return;
    for (size_t i = 0; i < N_CLIENTS; i++) {
        char what[80];
        snprintf(what, sizeof what, "answer: not rendered as %s", clients[i]->name);
        note(&s->rendered[i], renders(k, clients[i]), k->name, what);
    }
}

static void check_error(struct kase *k, struct score *s)
{
    struct tg_http_head head = {.status = k->status};
    struct tg_fail f;
    tg_fail_clear(&f);
    (void)k->format->adapter->classify(&k->arena, &head, k->body, &f); /* fills f either way */
    note(&s->errors, f.err && f.message[0] && f.provider_status == k->status, k->name,
         "error: no failure with status and message");
}

/* ---- the report ---- */

static void cell(const struct tally *t)
{
    if (t->all)
        printf(" %u/%u |", t->good, t->all);
    else
        printf(" |");
}

static void add_to(struct tally *sum, const struct tally *t)
{
    sum->good += t->good;
    sum->all += t->all;
}

static void print_row(const struct score *s)
{
    printf("| %s | %u |", s->name, s->cases);
    cell(&s->passed);
    cell(&s->encoded);
    cell(&s->errors);
    cell(&s->items);
    for (size_t i = 0; i < N_CLIENTS; i++)
        cell(&s->rendered[i]);
    printf(" %u |\n", s->unknown);
}

static void report(void)
{
    struct score sum = {.name = "**all**"};
    printf("| provider | cases | passed | encoded | errors | items |");
    for (size_t i = 0; i < N_CLIENTS; i++)
        printf(" %s |", clients[i]->name);
    printf(" no adapter |\n|---|---|---|---|---|---|");
    for (size_t i = 0; i < N_CLIENTS; i++)
        printf("---|");
    printf("---|\n");
    for (size_t i = 0; i < n_scores; i++) {
        print_row(&scores[i]);
        sum.cases += scores[i].cases;
        sum.unknown += scores[i].unknown;
        add_to(&sum.passed, &scores[i].passed);
        add_to(&sum.encoded, &scores[i].encoded);
        add_to(&sum.errors, &scores[i].errors);
        add_to(&sum.items, &scores[i].items);
        for (size_t c = 0; c < N_CLIENTS; c++)
            add_to(&sum.rendered[c], &scores[i].rendered[c]);
    }
    print_row(&sum);
}

static void check(const char *dir, const char *name)
{
    struct kase k = {0};
    if (load(&k, dir, name)) {
        struct score *s = score_of(k.provider);
        s->cases++;
        if (!k.format)
            s->unknown++;
        if (k.format && k.format->dialect && !k.synthesised && k.request.n && k.status < 300)
            check_request(&k, s);
        if (k.format && k.status < 300)
            check_answer(&k, s);
        else if (k.format)
            check_error(&k, s);
    }
    tg_arena_fini(&k.arena);
}

int main(int argc, char **argv)
{
    struct dirent **names;
    int n = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1;
    if (n < 0) {
        (void)fprintf(stderr, "usage: conformance FOLDER-OF-RECORDINGS\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.')
            check(argv[1], names[i]->d_name);
        tg_free(names[i]);
    }
    tg_free(names);
    report();
    (void)fprintf(stderr, "%u failed\n", failures);
    return failures ? 1 : 0;
}
