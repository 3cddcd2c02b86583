/* loam version: the program's version and the processor features it would use. */
#include <stdio.h>

#include "base/cpu.h"
#include "cli/command.h"

static int run_version(const void *settings, int n_args, char **args) {
    const lm_cpu *cpu = lm_cpu_get();
    printf("loam %s\n", LOAM_VERSION);
    printf("cpu: %s%s%s%s%s%s%s%s\n", cpu->name, cpu->avx2 ? " avx2" : "",
           cpu->avx512 ? " avx512" : "", cpu->avx512_vnni ? " vnni" : "",
           cpu->avx512_bf16 ? " bf16" : "", cpu->neon ? " neon" : "",
           cpu->neon_dotprod ? " dotprod" : "", cpu->neon_i8mm ? " i8mm" : "");
    return LM_EXIT_OK;
}

const lm_command lm_cmd_version = {
    .name = "version",
    .summary = "show the version and what the processor offers",
    .run = run_version,
};
