#include "core/mock_script.h"

#include "base/err.h"
#include "base/num.h"

#define MAX_TOKENS 1000000
#define MAX_MS     3600000

static const struct tg_str lorem = TG_STR_INIT(
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua. ");

static const struct {
    struct tg_str name;
    enum tg_mock_fault fault;
} faults[] = {
    {TG_STR_INIT("none"), TG_MOCK_FAULT_NONE},
    {TG_STR_INIT("error"), TG_MOCK_FAULT_ERROR},
    {TG_STR_INIT("stall"), TG_MOCK_FAULT_STALL},
    {TG_STR_INIT("reset"), TG_MOCK_FAULT_RESET},
    {TG_STR_INIT("incomplete"), TG_MOCK_FAULT_INCOMPLETE},
    {TG_STR_INIT("invalid"), TG_MOCK_FAULT_INVALID},
};

static const struct {
    struct tg_str name;
    enum tg_mock_wire wire;
} wires[] = {
    {TG_STR_INIT("none"), TG_MOCK_WIRE_NONE},
    {TG_STR_INIT("reset"), TG_MOCK_WIRE_RESET},
    {TG_STR_INIT("close"), TG_MOCK_WIRE_CLOSE},
    {TG_STR_INIT("stall"), TG_MOCK_WIRE_STALL},
    {TG_STR_INIT("truncated_chunk"), TG_MOCK_WIRE_TRUNCATED_CHUNK},
    {TG_STR_INIT("bad_chunk"), TG_MOCK_WIRE_BAD_CHUNK},
    {TG_STR_INIT("garbage"), TG_MOCK_WIRE_GARBAGE},
    {TG_STR_INIT("big_header"), TG_MOCK_WIRE_BIG_HEADER},
    {TG_STR_INIT("html"), TG_MOCK_WIRE_HTML},
    {TG_STR_INIT("bad_json"), TG_MOCK_WIRE_BAD_JSON},
    {TG_STR_INIT("no_done"), TG_MOCK_WIRE_NO_DONE},
    {TG_STR_INIT("error_event"), TG_MOCK_WIRE_ERROR_EVENT},
    {TG_STR_INIT("drip"), TG_MOCK_WIRE_DRIP},
};

static int set_wire(struct tg_str v, enum tg_mock_wire *out)
{
    for (size_t i = 0; out && i < TG_ARRAY_LEN(wires); i++) {
        if (tg_str_eq(v, wires[i].name)) {
            *out = wires[i].wire;
            return 0;
        }
    }
    return TG_E_INVALID_VALUE;
}

static int set_number(struct tg_str v, uint64_t max, uint32_t *out)
{
    uint64_t n;
    if (tg_parse_u64(v, &n) < 0 || n > max)
        return TG_E_INVALID_VALUE;
    *out = (uint32_t)n;
    return 0;
}

static int set_fault(struct tg_str v, struct tg_mock_config *c)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(faults); i++) {
        if (tg_str_eq(v, faults[i].name)) {
            c->fault = faults[i].fault;
            return 0;
        }
    }
    return TG_E_INVALID_VALUE;
}

static int set(struct tg_str key, struct tg_str v, struct tg_mock_config *c,
               enum tg_mock_wire *wire)
{
    const struct {
        struct tg_str key;
        uint32_t *value;
        uint64_t max;
    } numbers[] = {
        {TG_STR("tokens"), &c->tokens, MAX_TOKENS},
        {TG_STR("latency"), &c->latency_ms, MAX_MS},
        {TG_STR("ttft"), &c->ttft_ms, MAX_MS},
        {TG_STR("delay"), &c->delay_ms, MAX_MS},
        {TG_STR("status"), &c->status, 599},
        {TG_STR("retry_after"), &c->retry_after_s, 86400},
        {TG_STR("after"), &c->fault_after_tokens, MAX_TOKENS},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(numbers); i++) {
        if (tg_str_eq(key, numbers[i].key))
            return set_number(v, numbers[i].max, numbers[i].value);
    }
    if (tg_str_eq(key, TG_STR("fault")))
        return set_fault(v, c);
    if (tg_str_eq(key, TG_STR("wire")))
        return set_wire(v, wire);
    if (!tg_str_eq(key, TG_STR("text")))
        return TG_E_INVALID_VALUE;
    c->text = v;
    return 0;
}

int tg_mock_script_apply(struct tg_str model, struct tg_mock_config *io, enum tg_mock_wire *io_wire,
                         struct tg_fail *fail)
{
    ptrdiff_t colon = tg_str_chr(model, ':');
    if (colon < 0)
        return 0;
    struct tg_mock_config c = *io;
    enum tg_mock_wire wire = TG_MOCK_WIRE_NONE;
    struct tg_str rest = tg_str_from(model, (size_t)colon + 1), part;
    while (tg_str_split(&rest, ',', &part)) {
        struct tg_str value = part, key;
        (void)tg_str_split(&value, '=', &key); /* part may be empty: then set() refuses it */
        char quoted[64];
        if (set(key, value, &c, io_wire ? &wire : NULL) < 0)
            return tg_fail_param(fail, TG_E_INVALID_VALUE, "model",
                                 "the mock's script does not understand '%s'; known: tokens, "
                                 "latency, ttft, delay, status, retry_after, text, fault (error, "
                                 "stall, reset, incomplete, invalid), after%s",
                                 tg_fail_quote(part, quoted, sizeof quoted),
                                 io_wire ? ", wire" : "");
    }
    *io = c;
    if (io_wire)
        *io_wire = wire;
    return 0;
}

static struct tg_str script_text(const struct tg_mock_config *c)
{
    return c->text.n ? c->text : lorem;
}

struct tg_str tg_mock_script_word(struct tg_str text, size_t at)
{
    size_t end = at;
    while (end < text.n && text.p[end] != ' ')
        end++;
    while (end < text.n && text.p[end] == ' ')
        end++;
    return tg_str_make(text.p + at, end - at);
}

static uint32_t count_words(struct tg_str text)
{
    uint32_t n = 0;
    for (size_t at = 0; at < text.n; at += tg_mock_script_word(text, at).n)
        n++;
    return n;
}

uint32_t tg_mock_script_tokens(const struct tg_mock_config *c)
{
    return c->tokens ? c->tokens : count_words(script_text(c));
}

struct tg_str tg_mock_script_token(const struct tg_mock_config *c, uint32_t i)
{
    struct tg_str text = script_text(c);
    size_t at = 0;
    for (uint32_t skip = i % count_words(text); skip; skip--)
        at += tg_mock_script_word(text, at).n;
    return tg_mock_script_word(text, at);
}

static int err_of_status(uint32_t status)
{
    switch (status) {
    case 401:
    case 403:
        return TG_E_UPSTREAM_AUTH;
    case 408:
    case 504:
        return TG_E_UPSTREAM_TIMEOUT;
    case 429:
        return TG_E_UPSTREAM_RATE_LIMIT;
    case 503:
    case 529:
        return TG_E_UPSTREAM_OVERLOADED;
    default:
        return status >= 500 ? TG_E_UPSTREAM_ERROR : TG_E_UPSTREAM_REJECTED;
    }
}

int tg_mock_script_fail(const struct tg_mock_config *c, struct tg_fail *out)
{
    int err = err_of_status(c->status);
    (void)tg_fail_set(out, err, "the mock was told to answer %u", c->status); /* err is returned */
    out->source = TG_FAIL_PROVIDER;
    out->provider_status = (int)c->status;
    if (c->status != 401 && c->status != 403)
        out->http_status = (int)c->status;
    if (c->retry_after_s)
        out->retry_after_ms = (int64_t)c->retry_after_s * 1000;
    return err;
}
