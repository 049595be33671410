/* Schemas to grammars: every keyword, what is refused and lost, hostile schemas. An independent
 * matcher says what the grammars match. */
#include "check.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "engine/schema_priv.h"
#include "gbnf.h"

struct made {
    int rc;
    struct tg_fail f;
    struct tg_buf text, lost;
};

static void make(const char *schema, bool strict, struct made *m)
{
    struct tg_grammar *g = tg_grammar_new();
    uint32_t rule = 0;
    assert_non_null(g);
    tg_fail_clear(&m->f);
    tg_buf_init(&m->text, 1 << 20);
    tg_buf_init(&m->lost, 400);
    m->rc = tg_schema_add(g, tg_str_c(schema), TG_STR("schema"), strict, &m->lost, &m->f, &rule);
    if (m->rc == 0) {
        tg_grammar_ref(g, tg_grammar_alt(g, 0), rule);
        m->rc = tg_schema_print(g, TG_STR("schema"), &m->text, &m->f);
    }
    assert_int_equal(m->rc, m->f.err);
    tg_grammar_free(g);
    tg_buf_char(&m->text, '\0');
}

static void unmake(struct made *m)
{
    tg_buf_fini(&m->text);
    tg_buf_fini(&m->lost);
}

/* Texts behind `yes` must match, those behind `no` must not; both end with NULL. */
static void check(const char *schema, const char *lost, const char *const *yes,
                  const char *const *no)
{
    struct made m;
    struct gbnf g;
    make(schema, false, &m);
    if (m.rc)
        fail_msg("%s: %s", schema, m.f.message);
    if (!tg_str_eq(tg_buf_str(&m.lost), tg_str_c(lost)))
        fail_msg("%s: lost %.*s", schema, TG_STR_ARG(tg_buf_str(&m.lost)));
    gbnf_parse(&g, m.text.p);
    for (; *yes; yes++)
        if (!gbnf_matches(&g, *yes))
            fail_msg("%s does not allow %s\n%s", schema, *yes, m.text.n < 4000 ? m.text.p : "");
    for (; *no; no++)
        if (gbnf_matches(&g, *no))
            fail_msg("%s allows %s\n%s", schema, *no, m.text.n < 4000 ? m.text.p : "");
    gbnf_free(&g);
    unmake(&m);
}
#define LIST(...)                       \
    (const char *const[])               \
    {                                   \
        __VA_ARGS__ __VA_OPT__(, ) NULL \
    }
#define YES LIST
#define NO  LIST

static void refused(const char *schema, bool strict, int err, const char *param)
{
    struct made m;
    make(schema, strict, &m);
    if (m.rc != err || strcmp(m.f.param, param) != 0)
        fail_msg("%s: %d %s (%s)", schema, m.rc, m.f.param, m.f.message);
    assert_true(strlen(m.f.message) > 5);
    unmake(&m);
}

static void basic_types(void **state)
{
    check("{\"type\":\"string\"}", "",
          YES("\"\"", "\"a\"", "\"\\\"\\n\\u00e9\"", "\"\xC3\xA9\xF0\x9F\x98\x80\"", "\"\\uABCD\""),
          NO("a", "\"", "\"\n\"", "\"\\x\"", "\"\\uD800\"", "\"a\"b\"", " \"a\"", "1", "null"));
    check("{\"type\":\"integer\"}", "", YES("0", "-1", "12", "999999999999999"),
          NO("01", "1.0", "-", "1e3", "+1", "1234567890123456", "\"1\""));
    check("{\"type\":\"number\"}", "", YES("0", "-1", "1.5", "-0.25", "1e9", "2.5E-3"),
          NO("01", "1.", ".5", "-", "1e", "NaN", "1e400"));
    check("{\"type\":\"boolean\"}", "", YES("true", "false"), NO("True", "null", "1", ""));
    check("{\"type\":\"null\"}", "", YES("null"), NO("", "0"));
    check("{\"type\":[\"string\",\"null\"]}", "", YES("\"x\"", "null"), NO("1", "true"));
    check("{\"type\":\"string\",\"nullable\":true}", "", YES("\"x\"", "null"), NO("1"));
    check("{\"type\":\"STRING\"}", "", YES("\"x\""), NO("1"));
    check("{}", "",
          YES("1", "\"a\"", "null", "[]", "{}", "[1,{\"a\":[true, null]}]", "{\n  \"a\": 1\n}"),
          NO("", "[1,]", "{a:1}", "nul", "[\n\n\n\n]"));
    check("true", "", YES("1", "{}"), NO(""));
    check("{\"description\":\"d\",\"title\":\"t\",\"default\":3,\"x-foo\":1,\"type\":\"null\"}", "",
          YES("null"), NO("3"));
}

static void objects(void **state)
{
    check(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
        "\"boolean\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
        "",
        YES("{\"a\":1,\"b\":true}", "{\"a\": 1, \"b\": true}", "{\n  \"a\": 1,\n  \"b\": true\n}"),
        NO("{\"a\":1}", "{\"b\":true,\"a\":1}", "{}", "{\"a\":1,\"b\":true,}",
           "{\"a\":1,\"b\":true,\"c\":1}", "{\"a\":1 \n ,\"b\":true}", "{\"a\":\"1\",\"b\":true}"));
    check("{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"},\"c\":{"
          "\"type\":\"integer\"}},\"required\":[\"b\"]}",
          "",
          YES("{\"b\":1}", "{\"a\":1,\"b\":1}", "{\"b\":1,\"c\":1}", "{\"a\":1,\"b\":2,\"c\":3}"),
          NO("{}", "{\"a\":1}", "{\"a\":1,\"c\":1}", "{\"c\":1,\"b\":1}", "{\"b\":1,}",
             "{,\"b\":1}", "{\"b\":1,\"b\":1}"));
    check("{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}}}", "",
          YES("{}", "{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":1}", "{ }"),
          NO("{\"b\":1,\"a\":1}", "{\"z\":1}", "{\"a\":1,}"));
    check("{\"type\":\"object\"}", "", YES("{}", "{\"x\":1,\"y\":[2]}"), NO("[]", "1"));
    check("{\"type\":\"object\",\"additionalProperties\":false}", "", YES("{}", "{ }"),
          NO("{\"a\":1}"));
    check("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "",
          YES("{}", "{\"k\":1, \"l\":2}"), NO("{\"k\":\"v\"}"));
    check("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"},"
          "\"minProperties\":1,\"maxProperties\":2}",
          "", YES("{\"k\":1}", "{\"k\":1,\"l\":2}"), NO("{}", "{\"k\":1,\"l\":2,\"m\":3}"));
    check("{\"type\":\"object\",\"required\":[\"q\"]}", "", YES("{\"q\":1}", "{\"q\":{}}"),
          NO("{}", "{\"r\":1}"));
    check("{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z]+$\"}}", "",
          YES("{}", "{\"ab\":1}"), NO("{\"A\":1}", "{\"\":1}"));
    check("{\"properties\":{\"a\":{}},\"required\":[\"a\",\"zz\"]}", "", YES("{\"a\":1,\"zz\":2}"),
          NO("{\"a\":1}"));
    check("{\"properties\":{\"a\\\"\\\\\\n\":{\"type\":\"null\"}},\"required\":[\"a\\\"\\\\\\n\"]}",
          "", YES("{\"a\\\"\\\\\\n\":null}"), NO("{\"a\":null}"));
    check("{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"}}}", "",
          YES("{}"), NO("{\"x\":\"s\"}", "{\"x\":1}"));
    check("{\"properties\":{\"a\":false,\"b\":{\"type\":\"null\"}}}", "", YES("{}", "{\"b\":null}"),
          NO("{\"a\":1}"));
}

static void members_beyond_the_named(void **state)
{
    check("{\"properties\":{\"name\":{\"type\":\"string\"},\"nav\":{\"type\":\"null\"},\"x\":{"
          "\"type\":"
          "\"null\"}},\"required\":[\"name\"],\"additionalProperties\":{\"type\":\"integer\"}}",
          "",
          YES("{\"name\":\"n\"}", "{\"name\":\"n\",\"other\":1}",
              "{\"name\":\"n\",\"na\":1,\"n\":2}", "{\"name\":\"n\",\"xy\":1}",
              "{\"name\":\"n\",\"nav\":null,\"x\":null,\"nb\":3}", "{\"name\":\"n\",\"naw\":1}"),
          NO("{\"other\":1}", "{\"name\":\"n\",\"x\":1}", "{\"name\":\"n\",\"name\":1}",
             "{\"name\":\"n\",\"nav\":1}", "{\"name\":\"n\",\"other\":\"s\"}",
             "{\"name\":\"n\",\"\\u0078\":1}", "{\"name\":\"n\",\"a\\\"\":1}"));
    check("{\"properties\":{\"\xC3\xA4\":{\"type\":\"null\"},\"q\\\"\":{\"type\":\"null\"}},"
          "\"additionalProperties\":true}",
          "", YES("{}", "{\"\xC3\xA4\":null}", "{\"b\":1}", "{\"q\":1}"), NO("{\"\xC3\xA4\":1}"));
}

static void arrays(void **state)
{
    check("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "",
          YES("[]", "[1]", "[1,2]", "[1, 2,\n3]", "[ ]"), NO("[1,]", "[\"a\"]", "[,1]", "1"));
    check("{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}", "",
          YES("[1,2]", "[1,2,3]"), NO("[]", "[1]", "[1,2,3,4]"));
    check("{\"type\":\"array\",\"maxItems\":0}", "", YES("[]"), NO("[1]"));
    check("{\"type\":\"array\",\"items\":false}", "", YES("[]"), NO("[1]"));
    check("{\"type\":\"array\"}", "", YES("[]", "[1,\"a\",[]]"), NO("{}"));
    check("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "",
          YES("[1,\"a\"]"), NO("[\"a\",1]", "[1,\"a\",2]"));
    check("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":"
          "\"string\"},\"maxItems\":3}",
          "", YES("[1]", "[1,\"a\"]", "[1,\"a\",\"b\"]"),
          NO("[]", "[1,2]", "[1,\"a\",\"b\",\"c\"]"));
    check("{\"type\":\"array\",\"items\":[{\"type\":\"integer\"}],\"additionalItems\":false}", "",
          YES("[1]"), NO("[1,2]", "[\"a\"]"));
    check("{\"type\":\"array\",\"minItems\":70,\"maxItems\":200,\"items\":{\"type\":\"null\"}}", "",
          YES(), NO("[]", "[null]"));
}

static void repetitions_are_exact(void **state)
{
    static const unsigned limits[][2] = {{0, 1},   {1, 1},   {64, 64}, {65, 65},   {0, 65},
                                         {31, 97}, {70, 70}, {5, 128}, {100, 300}, {0, 333}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct made m;
        struct gbnf g;
        char schema[120], text[GBNF_MAX_TEXT + 1];
        unsigned min = limits[i][0], max = limits[i][1];
        snprintf(schema, sizeof schema, "{\"type\":\"string\",\"minLength\":%u,\"maxLength\":%u}",
                 min, max);
        make(schema, true, &m);
        assert_int_equal(m.rc, 0);
        gbnf_parse(&g, m.text.p);
        for (unsigned n = 0; n <= max + 40; n++) {
            memset(text, 'x', sizeof text);
            text[0] = text[n + 1] = '"';
            text[n + 2] = '\0';
            if (gbnf_matches(&g, text) != (n >= min && n <= max))
                fail_msg("%u..%u: %u", min, max, n);
        }
        gbnf_free(&g);
        unmake(&m);
    }
}

static void strings(void **state)
{
    check("{\"type\":\"string\",\"maxLength\":2}", "", YES("\"\"", "\"ab\"", "\"\\n\xC3\xA9\""),
          NO("\"abc\""));
    check("{\"type\":\"string\",\"pattern\":\"^\\\\d{3}-[a-c]+$\"}", "", YES("\"123-abcc\""),
          NO("\"12-a\"", "\"123-d\"", "\"123-\"", "123-a"));
    check("{\"type\":\"string\",\"pattern\":\"b\"}", "", YES("\"abc\"", "\"b\"", "\"\\nb\""),
          NO("\"a\"", "\"\""));
    check("{\"type\":\"string\",\"pattern\":\"^(foo|ba[rz])?$\"}", "",
          YES("\"\"", "\"foo\"", "\"baz\""), NO("\"fo\"", "\"foobar\""));
    check("{\"pattern\":\"^a|b$\"}", "", YES("\"axx\"", "\"xxb\"", "\"a\"", "\"b\""),
          NO("\"xax\""));
    check("{\"pattern\":\"^[^a-z\\\\s]{2}$\"}", "", YES("\"AB\"", "\"1\\\"\"", "\"\xC3\xA9Z\""),
          NO("\"ab\"", "\"A \"", "\"A\\n\""));
    check("{\"pattern\":\"^\\\\w+\\\\.\\\\S\\\\D$\"}", "", YES("\"a_1.xy\""),
          NO("\"a.x1\"", "\"ab\""));
    check("{\"pattern\":\"^\\\\\\\\\\\"\\\\t\\\\/$\"}", "", YES("\"\\\\\\\"\\t/\""),
          NO("\"\\\\\"\""));
    check("{\"pattern\":\"^.$\"}", "", YES("\"a\"", "\"\\\"\""), NO("\"\\n\"", "\"ab\"", "\"\""));
    check("{\"pattern\":\"^(?:x(?<n>y)?){2,3}$\"}", "", YES("\"xx\"", "\"xyxyx\""),
          NO("\"x\"", "\"xxxx\""));
    check("{\"pattern\":\"^[\\\\d_\\\\-\\\\]]*?\\\\u0041\\\\x42\\\\u{43}$\"}", "",
          YES("\"1_-]ABC\"", "\"ABC\""), NO("\"aABC\""));
    check("{\"pattern\":\"^a{2}b{1,}c{,3}$\"}", "", YES("\"aabbc{,3}\""), NO("\"aab\""));
    check("{\"pattern\":\"^\xC3\xA4[\xCE\xB1-\xCF\x89]$\"}", "", YES("\"\xC3\xA4\xCE\xB2\""),
          NO("\"\xC3\xA4z\""));
}

static void patterns_beyond_the_subset(void **state)
{
    static const char *const bad[] = {"(?=a)b",
                                      "(a)\\\\1",
                                      "\\\\bfoo",
                                      "\\\\p{L}",
                                      "a**",
                                      "(",
                                      ")",
                                      "[a",
                                      "*",
                                      "(?i)a",
                                      "x{5,2}",
                                      "(a*)*",
                                      "a(^b)",
                                      "[z-a]",
                                      "x{100000}",
                                      "\\\\",
                                      "a$b",
                                      "(?<=a)b",
                                      "[\\\\d-z]-[a-\\\\w]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char schema[200];
        snprintf(schema, sizeof schema,
                 "{\"properties\":{\"p\":{\"type\":\"string\",\"pattern\":\"%s\"}},\"required\":["
                 "\"p\"]}",
                 bad[i]);
        check(schema, "schema.properties.p.pattern", YES("{\"p\":\"anything\"}"), NO("{\"p\":1}"));
        refused(schema, true, TG_E_UNSUPPORTED_PARAMETER, "schema.properties.p.pattern");
    }
}

static void formats(void **state)
{
    check("{\"type\":\"string\",\"format\":\"date\"}", "", YES("\"2024-02-28\"", "\"1999-12-31\""),
          NO("\"2024-13-01\"", "\"2024-02-30\"", "\"2024-04-31\"", "\"24-1-1\""));
    check("{\"format\":\"date-time\"}", "",
          YES("\"2024-02-28T23:59:59Z\"", "\"2024-02-28T00:00:00.123+02:00\""),
          NO("\"2024-02-28\"", "\"2024-02-28T24:00:00Z\"", "\"2024-02-28T00:00:00\""));
    check("{\"format\":\"time\"}", "", YES("\"10:00:00Z\""), NO("\"10:00\""));
    check("{\"format\":\"uuid\"}", "", YES("\"123e4567-e89b-12d3-a456-426614174000\""),
          NO("\"123e4567\"", "\"g23e4567-e89b-12d3-a456-426614174000\""));
    check("{\"format\":\"email\"}", "", YES("\"a.b@example.com\""),
          NO("\"a\"", "\"a@b\"", "\".a@b.de\""));
    check("{\"format\":\"ipv4\"}", "", YES("\"127.0.0.1\"", "\"255.255.255.255\""),
          NO("\"256.0.0.1\"", "\"1.2.3\""));
    check("{\"format\":\"ipv6\"}", "", YES("\"2001:db8:0:0:0:0:0:1\""), NO("\"2001\""));
    check("{\"format\":\"hostname\"}", "", YES("\"a-b.example\""), NO("\"-a\"", "\"a_b\""));
    check("{\"format\":\"uri\"}", "", YES("\"https://example.com/a/b?c=d\"", "\"http://a.bc\""),
          NO("\"example\"", "\"https://\""));
    check("{\"format\":\"duration\"}", "", YES("\"P3D\"", "\"PT5M\"", "\"P1Y2M\""),
          NO("\"P\"", "\"PT\""));
    check("{\"type\":\"string\",\"format\":\"unheard-of\"}", "", YES("\"x\""), NO("1"));
    check("{\"format\":\"date\",\"maxLength\":4}", "schema.maxLength", YES("\"2024-01-01\""),
          NO("\"x\""));
}

static void enums(void **state)
{
    check("{\"enum\":[\"red\",\"green\",\"re\",1,null,true,[1],{\"a\":1},\"r\\u00e9d\"]}", "",
          YES("\"red\"", "\"re\"", "\"green\"", "1", "null", "true", "[1]", "{\"a\":1}",
              "\"r\xC3\xA9"
              "d\""),
          NO("\"r\"", "\"reds\"", "2", "false", "\"\""));
    check("{\"const\":\"x\\ny\"}", "", YES("\"x\\ny\""), NO("\"x\"", "\"xy\""));
    check("{\"const\":12}", "", YES("12"), NO("1", "120"));
    check("{\"type\":\"string\",\"enum\":[\"a\",1]}", "", YES("\"a\""), NO("1"));
    check("{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]},{\"minimum\":3}]}", "", YES("3"),
          NO("1", "2", "4"));
    check("{\"enum\":[\"a\",\"ab\",\"abc\"],\"minLength\":2}", "", YES("\"ab\"", "\"abc\""),
          NO("\"a\""));
    refused("{\"enum\":[]}", false, TG_E_INVALID_VALUE, "schema");
    refused("{\"enum\":\"a\"}", false, TG_E_INVALID_VALUE, "schema.enum");
    refused("{\"type\":\"string\",\"const\":1}", false, TG_E_INVALID_VALUE, "schema");
}

static void numbers_between_limits(void **state)
{
    check("{\"type\":\"number\",\"minimum\":0,\"maximum\":1}", "",
          YES("0", "1", "0.5", "0.123", "1.0", "1.000", "0.0"),
          NO("-0.1", "1.1", "2", "1.001", "-1", "1e-1", "-0"));
    check("{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}", "",
          YES("0.5", "0.001", "0.999"), NO("0", "1", "0.0", "1.0"));
    check("{\"type\":\"number\",\"minimum\":-2.5,\"maximum\":-0.25}", "",
          YES("-2.5", "-1", "-0.25", "-0.3", "-2.49"), NO("-2.6", "-0.2", "0", "-3", "1"));
    check("{\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":true,\"maximum\":3}", "",
          YES("2", "3"), NO("1", "4"));
    check("{\"type\":\"number\",\"multipleOf\":0.01,\"minimum\":0}", "", YES("1.25", "3", "0.1"),
          NO("1.255", "-1"));
    check("{\"type\":\"number\",\"multipleOf\":1}", "", YES("5", "-3"), NO("1.5"));
    check("{\"type\":\"integer\",\"multipleOf\":7}", "schema.multipleOf", YES("7"), NO("7.5"));
    check("{\"type\":\"integer\",\"minimum\":1e2,\"maximum\":1.05e2}", "", YES("100", "105"),
          NO("99", "106"));
    check("{\"type\":\"integer\",\"format\":\"int32\"}", "", YES("2147483647", "-2147483648", "0"),
          NO("2147483648", "-2147483649"));
    check("{\"type\":\"integer\",\"minimum\":-1e300,\"maximum\":1e300}", "",
          YES("999999999999999", "-999999999999999"), NO("1000000000000000"));
    refused("{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", false, TG_E_INVALID_VALUE,
            "schema");
    refused("{\"type\":\"integer\",\"minimum\":\"5\"}", false, TG_E_INVALID_VALUE,
            "schema.minimum");
}

/* Every whole number around every pair of limits. */
static void integer_ranges_are_exact(void **state)
{
    static const int limits[] = {-1000, -999, -101, -100, -99, -11, -10, -9, -1,  0,
                                 1,     2,    9,    10,   11,  19,  20,  99, 100, 1234};
    const size_t n = sizeof limits / sizeof *limits;
    for (size_t a = 0; a < n; a++)
        for (size_t b = a; b < n; b++) {
            struct made m;
            struct gbnf g;
            char schema[120], text[32];
            snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}",
                     limits[a], limits[b]);
            make(schema, true, &m);
            assert_int_equal(m.rc, 0);
            gbnf_parse(&g, m.text.p);
            for (int v = -1300; v <= 1300; v += v > -130 && v < 130 ? 1 : 13) {
                snprintf(text, sizeof text, "%d", v);
                if (gbnf_matches(&g, text) != (v >= limits[a] && v <= limits[b]))
                    fail_msg("%s: %s", schema, text);
            }
            gbnf_free(&g);
            unmake(&m);
        }
}

static void references_and_recursion(void **state)
{
    check("{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},"
          "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}},\"required\":["
          "\"v\",\"next\"]}},\"$ref\":\"#/$defs/n\"}",
          "", YES("{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"),
          NO("{\"v\":1}", "{\"v\":1,\"next\":{}}"));
    check("{\"type\":\"object\",\"properties\":{\"children\":{\"type\":\"array\",\"items\":{"
          "\"$ref\":\"#\"}}},\"required\":[\"children\"]}",
          "", YES("{\"children\":[]}", "{\"children\":[{\"children\":[]},{\"children\":[]}]}"),
          NO("{\"children\":[1]}"));
    check("{\"definitions\":{\"a~b/c d\":{\"type\":\"null\"}},\"$ref\":"
          "\"#/definitions/a~0b~1c%20d\"}",
          "", YES("null"), NO("1"));
    check("{\"$defs\":{\"l\":[{\"type\":\"null\"}]},\"$ref\":\"#/$defs/l/0\",\"title\":\"x\"}", "",
          YES("null"), NO("1"));
    refused("{\"$ref\":\"#/nowhere\"}", false, TG_E_UNSUPPORTED_PARAMETER, "schema.$ref");
    refused("{\"$ref\":\"http://example.com/schema\"}", false, TG_E_UNSUPPORTED_PARAMETER,
            "schema.$ref");
    refused("{\"$ref\":\"#\"}", false, TG_E_INVALID_VALUE, "schema.$ref");
    refused("{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":"
            "\"#/$defs/a\"}",
            false, TG_E_INVALID_VALUE, "schema.$ref");
    refused("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", false, TG_E_INVALID_VALUE,
            "schema.$ref");
    /* No finite value. */
    refused("{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}",
            false, TG_E_INVALID_VALUE, "schema.properties.n");
    refused("{\"properties\":{\"a\":{\"properties\":{\"b\":false},\"required\":[\"b\"]}},"
            "\"required\":[\"a\"]}",
            false, TG_E_INVALID_VALUE, "schema.properties.a.properties.b");
    refused("{\"$dynamicRef\":\"#x\"}", false, TG_E_UNSUPPORTED_PARAMETER, "schema.$dynamicRef");
}

static void put_together(void **state)
{
    check("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1}]}", "",
          YES("1", "\"a\""), NO("\"ab\"", "null"));
    check("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "", YES("1", "\"a\""),
          NO("null"));
    check(
        "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":"
        "\"integer\"}},\"required\":[\"k\",\"x\"]},{\"type\":\"object\",\"properties\":{\"k\":{"
        "\"const\":\"b\"}},\"required\":[\"k\"]}]}",
        "", YES("{\"k\":\"a\",\"x\":1}", "{\"k\":\"b\"}"), NO("{\"k\":\"a\"}", "{\"k\":\"c\"}"));
    check("{\"oneOf\":[{\"minimum\":0},{\"minimum\":5}]}", "schema.oneOf", YES("7"), NO("-1"));
    check(
        "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{"
        "\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{\"minimum\":3}},\"required\":[\"b\"]}]}",
        "", YES("{\"a\":3,\"b\":null}"), NO("{\"a\":2,\"b\":null}", "{\"a\":3}", "{\"b\":null}"));
    check("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
          "\"integer\"}},\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
          "", YES("{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":1}"), NO("{}"));
    check("{\"anyOf\":[{\"type\":\"string\"},false]}", "", YES("\"a\""), NO("1"));
    check("{\"type\":[\"integer\",\"string\"],\"allOf\":[{\"type\":[\"string\",\"null\"]}]}", "",
          YES("\"a\""), NO("1", "null"));
    refused("{\"allOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", false, TG_E_INVALID_VALUE,
            "schema");
    refused("false", false, TG_E_INVALID_VALUE, "schema");
    refused("{\"anyOf\":[]}", false, TG_E_INVALID_VALUE, "schema.anyOf");
    refused("{\"allOf\":1}", false, TG_E_INVALID_VALUE, "schema.allOf");
    refused("{\"type\":\"thing\"}", false, TG_E_INVALID_VALUE, "schema.type");
    refused("{\"properties\":[]}", false, TG_E_INVALID_VALUE, "schema.properties");
    refused("{\"properties\":{\"a\":3}}", false, TG_E_INVALID_VALUE, "schema.properties.a");
    refused("[]", false, TG_E_INVALID_VALUE, "schema");
    refused("{\"minLength\":-1}", false, TG_E_INVALID_VALUE, "schema.minLength");
}

static void lost_keywords_are_named_or_refused(void **state)
{
    static const struct {
        const char *schema, *path;
    } cases[] = {
        {"{\"type\":\"string\",\"not\":{\"const\":\"a\"}}", "schema.not"},
        {"{\"type\":\"object\",\"if\":{},\"then\":{}}", "schema.if"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "schema.uniqueItems"},
        {"{\"type\":\"array\",\"contains\":{\"const\":1}}", "schema.contains"},
        {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]}}", "schema.dependentRequired"},
        {"{\"properties\":{\"a\":{}},\"minProperties\":1}", "schema.minProperties"},
        {"{\"properties\":{\"a\":{},\"b\":{}},\"maxProperties\":1}", "schema.maxProperties"},
        {"{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"b$\"}]}", "schema.pattern"},
        {"{\"pattern\":\"^a*$\",\"maxLength\":3}", "schema.maxLength"},
        {"{\"patternProperties\":{\"^a\":{}},\"additionalProperties\":true}",
         "schema.patternProperties"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m;
        make(cases[i].schema, false, &m);
        if (m.rc || !tg_str_eq(tg_buf_str(&m.lost), tg_str_c(cases[i].path)))
            fail_msg("%s: %d, lost %.*s", cases[i].schema, m.rc, TG_STR_ARG(tg_buf_str(&m.lost)));
        unmake(&m);
        refused(cases[i].schema, true, TG_E_UNSUPPORTED_PARAMETER, cases[i].path);
    }
    struct made m;
    make("{\"type\":\"array\",\"uniqueItems\":false}", true, &m);
    assert_int_equal(m.rc, 0);
    unmake(&m);
}

/* ---- hostile schemas: an answer in bounded time and memory, whatever it is ---- */

static void repeat(struct tg_buf *b, const char *s, unsigned n)
{
    while (n-- > 0)
        tg_buf_str_add(b, tg_str_c(s));
}

static int outcome(struct tg_buf *schema)
{
    struct made m;
    tg_buf_char(schema, '\0');
    assert_true(tg_buf_ok(schema));
    make(schema->p, false, &m);
    int rc = m.rc;
    assert_true(m.text.n <= TG_GRAMMAR_MAX_BYTES + 1);
    if (rc == 0) {
        struct gbnf g;
        gbnf_parse(&g, m.text.p);
        gbnf_free(&g);
    }
    unmake(&m);
    tg_buf_clear(schema);
    return rc;
}

static void hostile_schemas(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 8 << 20);
    /* Deep nesting: the parser's limit. */
    repeat(&b, "{\"items\":", 5000);
    tg_buf_lit(&b, "{}");
    repeat(&b, "}", 5000);
    assert_int_equal(outcome(&b), TG_E_JSON_TOO_DEEP);
    repeat(&b, "{\"items\":", 100);
    tg_buf_lit(&b, "{}");
    repeat(&b, "}", 100);
    assert_int_equal(outcome(&b), 0);
    /* More text than allowed. */
    tg_buf_lit(&b, "{\"description\":\"");
    repeat(&b, "xxxxxxxxxxxxxxxx", 20000);
    tg_buf_lit(&b, "\"}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    /* Alternatives times alternatives times alternatives. */
    tg_buf_lit(&b, "{\"allOf\":[{}");
    for (int i = 0; i < 12; i++)
        tg_buf_lit(&b, ",{\"anyOf\":[{\"minLength\":1},{\"minLength\":2},{\"minLength\":3},{"
                       "\"minLength\":4}]}");
    tg_buf_lit(&b, "]}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    /* Many members, all optional, and beyond them any. */
    tg_buf_lit(&b, "{\"additionalProperties\":true,\"properties\":{");
    for (int i = 0; i < 500; i++)
        tg_buf_printf(&b, "%s\"member-%d\":{\"type\":\"string\",\"maxLength\":%d}", i ? "," : "", i,
                      i + 1);
    tg_buf_lit(&b, "}}");
    assert_int_equal(outcome(&b), 0);
    tg_buf_lit(&b, "{\"properties\":{");
    for (int i = 0; i < 5000; i++)
        tg_buf_printf(&b, "%s\"m%d\":{}", i ? "," : "", i);
    tg_buf_lit(&b, "}}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    /* Values that are each other's beginnings, and many of them. */
    tg_buf_lit(&b, "{\"enum\":[\"\"");
    for (int i = 1; i < 300; i++) {
        tg_buf_lit(&b, ",\"");
        repeat(&b, "a", (unsigned)i);
        tg_buf_lit(&b, "\"");
    }
    tg_buf_lit(&b, "]}");
    assert_int_equal(outcome(&b), 0);
    tg_buf_lit(&b, "{\"allOf\":[");
    for (int k = 0; k < 3; k++) {
        tg_buf_printf(&b, "%s{\"enum\":[0", k ? "," : "");
        for (int i = 1; i < 3000; i++)
            tg_buf_printf(&b, ",%d", i);
        tg_buf_lit(&b, "]}");
    }
    tg_buf_lit(&b, "]}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    /* Counts beyond all reason. */
    tg_buf_lit(&b, "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"minItems\":99999,"
                   "\"maxItems\":99999},\"minItems\":99999,\"maxItems\":18446744073709551616}");
    assert_int_equal(outcome(&b), 0);
    tg_buf_lit(&b, "{\"type\":\"array\",\"minItems\":200000}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    tg_buf_lit(&b, "{\"type\":\"string\",\"maxLength\":9007199254740993}");
    assert_int_equal(outcome(&b), 0);
    /* A long chain of references, and of names. */
    tg_buf_lit(&b, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
    for (int i = 0; i < 200; i++)
        tg_buf_printf(&b, "\"%d\":{\"$ref\":\"#/$defs/%d\"},", i, i + 1);
    tg_buf_lit(&b, "\"200\":{}}}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    tg_buf_lit(&b, "{\"additionalProperties\":{},\"properties\":{\"");
    repeat(&b, "n", 5000);
    tg_buf_lit(&b, "1\":{},\"");
    repeat(&b, "n", 5000);
    tg_buf_lit(&b, "2\":{}}}");
    assert_int_equal(outcome(&b), 0);
    /* Little text, and very many comparisons: names, values, keywords, alternatives of each. */
    tg_buf_lit(&b, "{\"anyOf\":[{}");
    for (int i = 0; i < 4000; i++)
        tg_buf_lit(&b, ",{}");
    tg_buf_lit(&b, "]");
    for (int i = 0; i < 15000; i++)
        tg_buf_printf(&b, ",\"k%d\":0", i);
    tg_buf_lit(&b, "}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    tg_buf_lit(&b, "{\"allOf\":[{\"anyOf\":[{}");
    for (int i = 0; i < 1000; i++)
        tg_buf_lit(&b, ",{}");
    tg_buf_lit(&b, "]}");
    for (int k = 0; k < 2; k++) {
        tg_buf_lit(&b, ",{\"enum\":[0");
        for (int i = 1; i < 1000; i++)
            tg_buf_printf(&b, ",%d", i);
        tg_buf_lit(&b, "]}");
    }
    tg_buf_lit(&b, "]}");
    assert_int_equal(outcome(&b), TG_E_UNSUPPORTED_PARAMETER);
    /* No JSON at all. */
    tg_buf_lit(&b, "{\"type\":");
    assert_int_equal(outcome(&b), TG_E_INVALID_JSON);
    assert_int_equal(outcome(&b), TG_E_INVALID_JSON);
    tg_buf_fini(&b);
}

/* Half a schema, at every byte, and a schema with every byte changed: no crash, and what is taken
 * is a grammar that can be read. */
static void broken_schemas(void **state)
{
    static const char whole[] =
        "{\"$defs\":{\"n\":{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"v\":{\"minimum\":-1."
        "5,"
        "\"maximum\":2e1},\"n\":{\"$ref\":\"#/$defs/"
        "n\"}}},{\"type\":\"null\"}]}},\"type\":\"array\","
        "\"items\":{\"$ref\":\"#/$defs/n\"},\"minItems\":1,\"prefixItems\":[{\"pattern\":"
        "\"^[a-z]{2}\\\\d(x|y)*$\"},{\"enum\":[1,\"a\"]},{\"format\":\"date\"}]}";
    struct tg_buf b;
    tg_buf_init(&b, 1 << 16);
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        tg_buf_add(&b, whole, n);
        assert_true(outcome(&b) < 0);
    }
    for (size_t n = 0; n < sizeof whole - 1; n++)
        for (size_t k = 0; k < 6; k++) {
            tg_buf_add(&b, whole, sizeof whole - 1);
            b.p[n] = "0\"]}{z"[k];
            (void)outcome(&b);
        }
    tg_buf_add(&b, whole, sizeof whole - 1);
    assert_int_equal(outcome(&b), 0);
    tg_buf_fini(&b);
}

static void memory_may_be_out(void **state)
{
    static const char schema[] =
        "{\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^a+$\"},"
        "\"b\":{\"enum\":[1,2,\"x\"]}},\"additionalProperties\":true}";
    bool worked = false;
    for (uint64_t n = 1; n < 400 && !worked; n++) {
        struct tg_buf text;
        struct tg_fail f;
        uint32_t rule;
        tg_fail_clear(&f);
        tg_buf_init(&text, 1 << 20);
        tg_alloc_fail_at(n, 1);
        struct tg_grammar *g = tg_grammar_new();
        int rc = g ? tg_schema_add(g, tg_str_c(schema), TG_STR("s"), false, NULL, &f, &rule)
                   : TG_E_NOMEM;
        if (rc == 0) {
            tg_grammar_ref(g, tg_grammar_alt(g, 0), rule);
            rc = tg_schema_print(g, TG_STR("s"), &text, &f);
        }
        tg_alloc_fail_at(0, 0);
        worked = rc == 0;
        if (!worked)
            assert_int_equal(rc, TG_E_NOMEM);
        tg_grammar_free(g);
        tg_buf_fini(&text);
    }
    assert_true(worked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_types),
        cmocka_unit_test(objects),
        cmocka_unit_test(members_beyond_the_named),
        cmocka_unit_test(arrays),
        cmocka_unit_test(repetitions_are_exact),
        cmocka_unit_test(strings),
        cmocka_unit_test(patterns_beyond_the_subset),
        cmocka_unit_test(formats),
        cmocka_unit_test(enums),
        cmocka_unit_test(numbers_between_limits),
        cmocka_unit_test(integer_ranges_are_exact),
        cmocka_unit_test(references_and_recursion),
        cmocka_unit_test(put_together),
        cmocka_unit_test(lost_keywords_are_named_or_refused),
        cmocka_unit_test(hostile_schemas),
        cmocka_unit_test(broken_schemas),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
