#include "admin/api_docs.h"

#include "base/compiler.h"

/* The folder is the build's; ./dev setup fills it. */
#define EMBED(name, file)                                                                    \
    __asm__(".pushsection .rodata." #name ", \"a\", @progbits\n"                             \
            ".globl " #name "_begin, " #name "_end\n" /* seen by all parts of an LTO link */ \
            ".hidden " #name "_begin, " #name "_end\n" #name "_begin:\n"                     \
            ".incbin \"" TG_API_DOCS_FOLDER "/" file "\"\n" #name "_end:\n"                  \
            ".popsection\n");                                                                \
    extern const char name##_begin[] __attribute__((visibility("hidden")));                  \
    extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(tg_swagger_js, "swagger-ui-bundle.js.gz");
EMBED(tg_swagger_css, "swagger-ui.css.gz");
EMBED(tg_redoc_js, "redoc.standalone.js.gz");

/* Paths are relative, so that the pages work behind a proxy's prefix, too. */
static const char docs_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Tollgate API</title>\n<link rel=\"icon\" href=\"data:,\">\n"
    "<link rel=\"stylesheet\" href=\"docs/swagger-ui.css\">\n</head>\n<body>\n"
    "<div id=\"swagger-ui\"></div>\n<script src=\"docs/swagger-ui-bundle.js\"></script>\n"
    "<script src=\"docs/start.js\"></script>\n</body>\n</html>\n";

static const char docs_start[] =
    "SwaggerUIBundle({url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true,\n"
    "  docExpansion: 'list', defaultModelsExpandDepth: 0, validatorUrl: null,\n"
    "  persistAuthorization: true, tryItOutEnabled: true});\n";

static const char redoc_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Tollgate API</title>\n<link rel=\"icon\" href=\"data:,\">\n"
    "<style>body { margin: 0; }</style>\n</head>\n<body>\n"
    "<redoc spec-url=\"openapi.json\"></redoc>\n"
    "<script type=\"module\" src=\"redoc/redoc.standalone.js\"></script>\n</body>\n</html>\n";

const char tg_admin_api_docs_policy[] =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

#define HTML    "text/html; charset=utf-8"
#define SCRIPT  "text/javascript; charset=utf-8"
#define TEXT(a) a, a + sizeof(a) - 1

static const struct tg_api_doc docs[] = {
    {HTML, TG_STR_INIT("/docs"), TEXT(docs_page), false},
    {SCRIPT, TG_STR_INIT("/docs/start.js"), TEXT(docs_start), false},
    {SCRIPT, TG_STR_INIT("/docs/swagger-ui-bundle.js"), tg_swagger_js_begin, tg_swagger_js_end,
     true},
    {"text/css; charset=utf-8", TG_STR_INIT("/docs/swagger-ui.css"), tg_swagger_css_begin,
     tg_swagger_css_end, true},
    {HTML, TG_STR_INIT("/redoc"), TEXT(redoc_page), false},
    {SCRIPT, TG_STR_INIT("/redoc/redoc.standalone.js"), tg_redoc_js_begin, tg_redoc_js_end, true},
};

const struct tg_api_doc *tg_admin_api_doc(struct tg_str path)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(docs); i++) {
        if (tg_str_eq(docs[i].path, path))
            return &docs[i];
    }
    return NULL;
}

struct tg_str tg_admin_api_doc_bytes(const struct tg_api_doc *d)
{
    return tg_str_make(d->begin, (size_t)(d->end - d->begin));
}
