/* Running a suite on every database loam keeps its store in: a fresh SQLite file or PostgreSQL database a test.
 *
 *     static void test_x(void **state) { const char *url = test_database_new(*state); ... }
 *     int main(void) { ... return test_on_databases(tests, LM_COUNT_OF(tests)); }
 *
 * The PostgreSQL server is a real one that the program starts and stops: a cluster of its own in a temporary folder, a unix
 * socket only. As root it runs as Debian's user postgres. Where no server is installed its tests are skipped, counted.
 */
#ifndef LM_TESTS_CLOUD_DATABASES_H
#define LM_TESTS_CLOUD_DATABASES_H

#include "testing.h"

typedef struct test_databases test_databases;

/* Runs the tests once on each kind; returns the number of failures. */
int test_on_databases_(const char *name, const struct CMUnitTest *tests, size_t n);
#define test_on_databases(tests) \
    test_on_databases_(__FILE__, tests, sizeof(tests) / sizeof((tests)[0]))

/* URL of a fresh empty database, valid until the group ends. Skips the test when there is no server. */
const char *test_database_new(void *state);
bool test_database_is_postgres(void *state);

#endif
