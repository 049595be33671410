/* The built-in model's file as read-only bytes of the binary. Only the child looks at them, so the
 * gateway never pays for these pages. */
#include "engine/child_priv.h"

/* 32: GGUF's tensor alignment. The label behind it gives the length. */
__asm__(".pushsection .rodata.tg_builtin, \"a\", @progbits\n"
        ".balign 32\n"
        ".globl tg_builtin_begin, tg_builtin_end\n" /* seen by the other parts of an LTO link */
        ".hidden tg_builtin_begin, tg_builtin_end\n"
        "tg_builtin_begin:\n"
        ".incbin \"" TG_BUILTIN_MODEL_FILE "\"\n"
        "tg_builtin_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char tg_builtin_begin[] __attribute__((visibility("hidden")));
extern const char tg_builtin_end[] __attribute__((visibility("hidden")));

struct tg_str tg_builtin_model(void)
{
    return tg_str_make(tg_builtin_begin, (size_t)(tg_builtin_end - tg_builtin_begin));
}
