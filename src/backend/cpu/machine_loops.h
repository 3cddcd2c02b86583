/* The inner loops of machine.c: one function of an instruction set's own each, behind one list.
 *
 * LM_PEAK_LOOP defines a loop that does nothing but one step of arithmetic, on registers enough to hide its latency. The
 * empty assembly statements keep the compiler from knowing what is in them, and so from leaving anything out.
 */
#ifndef LM_BACKEND_CPU_MACHINE_LOOPS_H
#define LM_BACKEND_CPU_MACHINE_LOOPS_H

#include <stdint.h>

typedef void lm_cpu_peak_loop(int64_t n_rounds);
typedef float lm_cpu_read_loop(const float *data, int64_t n);

enum {
    LM_PEAK_CHAINS = 12, /* steps of one round */
    LM_READ_STREAMS =
        4, /* places read side by side: more fetches are under way than one stream has */
    LM_READ_GRAIN = 2 * 16 * LM_READ_STREAMS, /* n of a read loop is a multiple of it */
};

#define LM_PEAK_EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define LM_PEAK_BEGIN(i) LM_PEAK_OPAQUE(x##i);
#define LM_PEAK_STEP(i) x##i = LM_PEAK_OP(x##i, a, b);
#if defined(__aarch64__)
#define LM_PEAK_OPAQUE(x) __asm__ volatile("" : "+w"(x))
#else
#define LM_PEAK_OPAQUE(x) __asm__ volatile("" : "+v"(x))
#endif
#define LM_PEAK_REGISTERS                                                               \
    x0 = start, x1 = start, x2 = start, x3 = start, x4 = start, x5 = start, x6 = start, \
    x7 = start, x8 = start, x9 = start, x10 = start, x11 = start

/* attributes: LM_PEAK_TARGET(...) or nothing. LM_PEAK_OP(x, a, b) is what the steps do; registers begin as `begin`. */
#define LM_PEAK_LOOP(name, attributes, accumulator, factor, begin, first, second) \
    lm_cpu_peak_loop name;                                                        \
    attributes void name(int64_t n_rounds) {                                      \
        const accumulator start = begin;                                          \
        factor a = first, b = second;                                             \
        accumulator LM_PEAK_REGISTERS;                                            \
        LM_PEAK_OPAQUE(a);                                                        \
        LM_PEAK_OPAQUE(b);                                                        \
        LM_PEAK_EACH(LM_PEAK_BEGIN)                                               \
        for (int64_t i = 0; i < n_rounds; i++) {                                  \
            LM_PEAK_EACH(LM_PEAK_STEP)                                            \
        }                                                                         \
        LM_PEAK_EACH(LM_PEAK_BEGIN)                                               \
    }
#define LM_PEAK_TARGET(features) __attribute__((target(features)))

#if defined(__x86_64__)
lm_cpu_peak_loop lm_cpu_f32_loop_avx2, lm_cpu_int8_loop_avx2;
lm_cpu_peak_loop lm_cpu_f32_loop_avx512, lm_cpu_bf16_loop_avx512, lm_cpu_f16_loop_avx512;
lm_cpu_peak_loop lm_cpu_int8_ymm_loop_avx512, lm_cpu_int8_loop_avx512;
lm_cpu_read_loop lm_cpu_read_loop_avx2, lm_cpu_read_loop_avx512;
#elif defined(__aarch64__)
lm_cpu_peak_loop lm_cpu_f32_loop_neon, lm_cpu_int8_loop_neon, lm_cpu_int8_loop_neon_dotprod;
lm_cpu_peak_loop lm_cpu_int8_loop_neon_i8mm;
lm_cpu_read_loop lm_cpu_read_loop_neon;
#endif

#endif
