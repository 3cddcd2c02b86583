#include "base/near.h"

#include <limits.h>
#include <string.h>

/* How many single letters have to be put in, left out or exchanged; letters past LIMIT are not looked at. */
static int distance(const char *a, const char *b) {
    enum { LIMIT = 31 };
    int row[LIMIT + 1], n = (int)strnlen(b, LIMIT);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 0; a[i] && i < LIMIT; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 0; j < n; j++) {
            int changed = diagonal + (a[i] != b[j]);
            int least = row[j] < row[j + 1] ? row[j] : row[j + 1];
            diagonal = row[j + 1];
            row[j + 1] = least + 1 < changed ? least + 1 : changed;
        }
    }
    return row[n];
}

void lm_near_init(lm_near *near, const char *to) {
    *near = (lm_near){.to = to};
    for (int i = 0; i < LM_NEAR_NAMES; i++) {
        near->names[i] = "";
        near->distances[i] = INT_MAX;
    }
}

void lm_near_offer(lm_near *near, const char *name) {
    int d = distance(near->to, name), at = LM_NEAR_NAMES;
    for (; at > 0 && d < near->distances[at - 1]; at--) {
        if (at == LM_NEAR_NAMES) continue;
        near->names[at] = near->names[at - 1];
        near->distances[at] = near->distances[at - 1];
    }
    if (at == LM_NEAR_NAMES) return;
    near->names[at] = name;
    near->distances[at] = d;
}
