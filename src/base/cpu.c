#include "base/cpu.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static lm_cpu g_cpu;

#if defined(__x86_64__)
#include <cpuid.h>

static void read_brand(char out[64]) {
    unsigned int words[12];
    for (unsigned int i = 0; i < 3; i++) {
        if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                         &words[4 * i + 3]))
            return;
    }
    memcpy(out, words, sizeof words);
    out[sizeof words] = '\0';
}

/* AMD's cores (Zen 4 on) have as many dot products a cycle as multiply-adds; Intel's have one for four. */
static bool is_amd(void) {
    unsigned int max, b, c, d;
    return __get_cpuid(0, &max, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx &&
           d == signature_AMD_edx;
}

/* By its bit: not every compiler knows it by name. Its state is AVX-512's, which the system is asked about there. */
static bool has_avx512_fp16(void) {
    enum { FEATURES = 7, FP16 = 1 << 23 };
    unsigned int a, b, c, d;
    return __get_cpuid_count(FEATURES, 0, &a, &b, &c, &d) && d & FP16;
}

static void detect(void) {
    __builtin_cpu_init(); /* checks the operating system's saved state (XCR0) too */
    g_cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    g_cpu.avx512 = g_cpu.avx2 && __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl");
    g_cpu.avx512_vnni = g_cpu.avx512 && __builtin_cpu_supports("avx512vnni");
    g_cpu.avx512_bf16 = g_cpu.avx512 && __builtin_cpu_supports("avx512bf16");
    g_cpu.avx512_fp16 = g_cpu.avx512 && has_avx512_fp16();
    g_cpu.bf16_dot_is_fast = g_cpu.avx512_bf16 && is_amd();
    g_cpu.streams_alone = is_amd();
    read_brand(g_cpu.name);
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static void detect(void) {
    enum { ASIMD = 1 << 1, DOTPROD = 1 << 20, I8MM = 1 << 13 }; /* Linux' HWCAP_*, HWCAP2_I8MM */
    unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    g_cpu.neon = first & ASIMD;
    g_cpu.neon_dotprod = g_cpu.neon && first & DOTPROD;
    g_cpu.neon_i8mm = g_cpu.neon_dotprod && second & I8MM;
    strcpy(g_cpu.name, "aarch64");
}
#else
static void detect(void) {}
#endif

static void detect_all(void) {
    detect();
    long l2_bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    g_cpu.l2_bytes = l2_bytes > 0 ? l2_bytes : 1 << 20;
}

const lm_cpu *lm_cpu_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect_all);
    return &g_cpu;
}
