/* The answers of a fan-out's models made one. */
#include "base/clock.h"
#include "base/err.h"
#include "core/fanout_priv.h"

static bool is_good(const struct tg_fanout_branch *b)
{
    return !b->running && !b->broken && b->status == 200;
}

static int first_good(const struct tg_fanout *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (is_good(&f->branches[i]))
            return (int)i;
    }
    return -1;
}

static bool all_over(const struct tg_fanout *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->branches[i].running)
            return false;
    }
    return true;
}

static void collect(struct tg_fanout *f, struct tg_fanout_answer *out)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct tg_fanout_branch *b = &f->branches[i];
        uint64_t end_us = b->running ? tg_clock_mono_us() : b->ended_us;
        bool cancelled = b->running || (b->broken && !b->status);
        out[i] = (struct tg_fanout_answer){
            .model = b->model,
            .status = cancelled                       ? 499
                      : b->broken && b->status == 200 ? 502
                                                      : b->status,
            .body = tg_buf_str(&b->body),
            .took_us = end_us - b->started_us,
            .cost_nusd = b->cost_nusd,
            .cancelled = cancelled,
        };
    }
}

static struct tg_fanout_result
result_of(struct tg_fanout *f, const struct tg_fanout_answer *answers, int selected, bool judged)
{
    struct tg_str id = f->request_id;
    if (tg_str_starts(id, TG_STR("req_")))
        id = tg_str_from(id, 4);
    return (struct tg_fanout_result){
        .aggregate = f->call.aggregate,
        .id = tg_arena_printf(&f->req->arena, "llm-%.*s", TG_STR_ARG(id)),
        .request_id = f->request_id,
        .created_s = tg_clock_wall_us() / 1000000,
        .answers = answers,
        .n = f->n,
        .selected = selected,
        .judge = f->call.judge,
        .judged = judged,
    };
}

/* Nobody answered: what the first model said of it stands for all. */
static void fail_all(struct tg_fanout *f)
{
    const struct tg_fanout_branch *b = &f->branches[0];
    if (b->body.n && b->status >= 400)
        tg_fanout_send_whole(f, b->status, tg_buf_str(&b->body));
    else
        tg_fanout_fail_with(f, TG_E_UPSTREAM_ERROR);
}

/* One whole completion is the answer, told with who took part. */
static void answer_one(struct tg_fanout *f, struct tg_str completion, int selected, bool judged)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct tg_buf out;
    collect(f, answers);
    struct tg_fanout_result r = result_of(f, answers, selected, judged);
    tg_buf_init(&out, TG_FANOUT_MAX_ANSWER_BYTES + (1u << 20));
    if (f->call.stream) {
        tg_fanout_write_as_chunk(&r, completion, &f->req->arena, &out);
        tg_buf_lit(&out, "data: [DONE]\n\n");
    } else {
        tg_fanout_write_one(&r, completion, &f->req->arena, &out);
    }
    if (!tg_buf_ok(&out)) {
        tg_fanout_fail_with(f, TG_E_NOMEM);
    } else if (f->call.stream) {
        tg_fanout_send_stream(f, tg_buf_str(&out));
        tg_fanout_close_answer(f, false);
    } else {
        tg_fanout_send_whole(f, 200, tg_buf_str(&out));
    }
    tg_buf_fini(&out);
}

static void join_first(struct tg_fanout *f)
{
    if (f->call.stream && f->winner >= 0) {
        struct tg_fanout_branch *b = &f->branches[f->winner];
        if (!b->running)
            tg_fanout_close_answer(f, b->broken);
        return;
    }
    int good = first_good(f);
    if (good >= 0) { /* a stream without a word is an answer, too */
        tg_fanout_stop_others(f, &f->branches[good]);
        f->call.stream ? (tg_fanout_send_stream(f, tg_buf_str(&f->branches[good].body)),
                          tg_fanout_close_answer(f, false))
                       : answer_one(f, tg_buf_str(&f->branches[good].body), good, false);
    } else if (all_over(f)) {
        fail_all(f);
    }
}

/* The error of a model whose stream never began. */
static void mark_failures(struct tg_fanout *f)
{
    struct tg_buf out;
    for (size_t i = 0; i < f->n; i++) {
        struct tg_fanout_branch *b = &f->branches[i];
        if (b->running || b->status == 200 || b->relays)
            continue;
        b->relays = true; /* said */
        tg_buf_init(&out, TG_FANOUT_MAX_ANSWER_BYTES);
        tg_fanout_write_chunk(i, b->model, tg_buf_str(&b->body), &out);
        if (tg_buf_ok(&out))
            tg_fanout_send_stream(f, tg_buf_str(&out));
        tg_buf_fini(&out);
    }
}

static void join_all(struct tg_fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    if (f->call.stream)
        mark_failures(f);
    if (!all_over(f))
        return;
    if (f->call.stream) {
        tg_fanout_send_stream(f, TG_STR("data: [DONE]\n\n"));
        tg_fanout_close_answer(f, false);
        return;
    }
    struct tg_buf out;
    collect(f, answers);
    struct tg_fanout_result r = result_of(f, answers, -1, false);
    tg_buf_init(&out, SIZE_MAX / 4);
    tg_fanout_write_all(&r, &f->req->arena, &out);
    if (tg_buf_ok(&out))
        tg_fanout_send_whole(f, 200, tg_buf_str(&out));
    else
        tg_fanout_fail_with(f, TG_E_NOMEM);
    tg_buf_fini(&out);
}

static void ask_judge(struct tg_fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct tg_buf body;
    int good = first_good(f);
    if (!all_over(f))
        return;
    if (good < 0) {
        fail_all(f);
        return;
    }
    collect(f, answers);
    f->phase = TG_FANOUT_JUDGING;
    f->winner = f->call.aggregate == TG_AGGREGATE_BEST_OF ? good : -1; /* a picker never relays */
    tg_buf_init(&body, SIZE_MAX / 4);
    tg_fanout_judge_body(&f->call, &f->req->arena, answers, f->n, &body);
    tg_fanout_start_branch(f, TG_FANOUT_JUDGE, f->call.judge, &body);
}

static void join_judged(struct tg_fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct tg_fanout_branch *judge = &f->branches[TG_FANOUT_JUDGE];
    int good = first_good(f), picked = -1;
    if (judge->running)
        return;
    if (judge->relays) {
        tg_fanout_close_answer(f, judge->broken);
        return;
    }
    collect(f, answers);
    if (is_good(judge) && f->call.aggregate == TG_AGGREGATE_MERGE) {
        answer_one(f, tg_buf_str(&judge->body), -1, true);
        return;
    }
    if (is_good(judge))
        picked = tg_fanout_verdict(&f->req->arena, tg_buf_str(&judge->body), answers, f->n);
    int index = picked >= 0 ? picked : good;
    answer_one(f, tg_buf_str(&f->branches[index].body), index, picked >= 0);
}

void tg_fanout_join(struct tg_fanout *f)
{
    if (f->phase == TG_FANOUT_JUDGING)
        join_judged(f);
    else if (f->call.aggregate == TG_AGGREGATE_FIRST)
        join_first(f);
    else if (f->call.aggregate == TG_AGGREGATE_ALL)
        join_all(f);
    else
        ask_judge(f);
}
