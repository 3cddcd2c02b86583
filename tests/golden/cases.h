/* Fixtures with a folder each, which may hold a Hugging Face folder's files, model.gguf, and what a reference computes with them:
 * a test for each, or with --table a row of docs/models.md. */
#ifndef LM_TESTS_GOLDEN_CASES_H
#define LM_TESTS_GOLDEN_CASES_H

typedef struct golden_cases {
    const char *suite;
    const char *dir;      /* that holds the folders */
    const char *expected; /* name of the file with what the reference says */
    /* The largest difference from it of the model at `path`. */
    double (*check)(const char *path, const char *expected);
} golden_cases;

/* For main: its exit status. A suite that finds no case fails. */
int golden_cases_run(const golden_cases *cases, int argc, char **argv);

#endif
