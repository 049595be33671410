#include "base/err.h"
#include "dialect/dialect.h"

static void member(struct tg_buf *out, const char *key, struct tg_str value)
{
    tg_buf_char(out, ',');
    tg_buf_json_str(out, tg_str_c(key));
    tg_buf_char(out, ':');
    if (value.n)
        tg_buf_json_str(out, value);
    else
        tg_buf_lit(out, "null");
}

void tg_dialect_openai_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                            struct tg_buf *out)
{
    struct tg_str message = tg_str_c(fail->message);
    if (!message.n)
        message = tg_str_c(tg_err_info(fail->err)->text);
    if (in_stream)
        tg_buf_lit(out, "data: ");
    tg_buf_lit(out, "{\"error\":{\"message\":");
    tg_buf_json_str(out, message);
    member(out, "type", tg_str_c(tg_fail_type(fail)));
    member(out, "param", tg_str_c(fail->param));
    member(out, "code", tg_str_c(tg_fail_code(fail)));
    member(out, "request_id", request_id);
    tg_buf_lit(out, "}}");
    if (in_stream)
        tg_buf_lit(out, "\n\n");
}
