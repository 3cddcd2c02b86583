/* embed OUT.c TABLE FILE...: writes a C table of lm_asset with the files' bytes, in the order given. Runs on the building
 * machine. A file's name in the table is its path below the folder of --under DIR (before the files), else its last part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *path) {
    fprintf(stderr, "embed: %s: ", what);
    perror(path);
    exit(1);
}

static void put_bytes(FILE *out, const char *path, int number) {
    FILE *in = fopen(path, "rb");
    if (!in) die("cannot read", path);
    fprintf(out, "static const unsigned char bytes_%d[] = {", number);
    long n = 0;
    for (int c; (c = getc(in)) != EOF; n++) fprintf(out, "%s%d,", n % 32 ? "" : "\n", c);
    fprintf(out, "0};\nenum { SIZE_%d = %ld };\n", number, n);
    fclose(in);
}

static const char *name_of(const char *path, const char *under) {
    size_t n = under ? strlen(under) : 0;
    if (under && strncmp(path, under, n) == 0 && path[n] == '/') return path + n + 1;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: embed OUT.c TABLE [--under DIR] FILE...\n");
        return 2;
    }
    int first = 3;
    const char *under = NULL;
    if (argc > 4 && strcmp(argv[3], "--under") == 0) {
        under = argv[4];
        first = 5;
    }
    FILE *out = fopen(argv[1], "wb");
    if (!out) die("cannot write", argv[1]);
    fprintf(
        out,
        "/* Made by tools/embed.c. */\n#include \"base/asset.h\"\nextern const lm_asset %s[];\n",
        argv[2]);
    for (int i = first; i < argc; i++) put_bytes(out, argv[i], i);
    fprintf(out, "const lm_asset %s[] = {\n", argv[2]);
    for (int i = first; i < argc; i++)
        fprintf(out, "{\"%s\", (const char *)bytes_%d, SIZE_%d},\n", name_of(argv[i], under), i, i);
    fprintf(out, "{0, 0, 0}};\n");
    if (fclose(out) != 0) die("cannot write", argv[1]);
    return 0;
}
