/* Which known names are nearest to one that is not known, for messages. Names are borrowed. Any thread. */
#ifndef LM_BASE_NEAR_H
#define LM_BASE_NEAR_H

enum { LM_NEAR_NAMES = 3 };

typedef struct lm_near {
    const char *to;
    const char *names[LM_NEAR_NAMES]; /* the nearest first; "" where fewer were offered */
    int distances[LM_NEAR_NAMES];
} lm_near;

void lm_near_init(lm_near *near, const char *to);
void lm_near_offer(lm_near *near, const char *name);

#endif
