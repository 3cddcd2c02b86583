/* Completes a text with libloam:  cc embed.c $(pkg-config --cflags --libs loam) -o embed && ./embed model.gguf "Once upon" */
#include <loam/loam.h>
#include <stdio.h>

static int print(void *ctx, const char *text, size_t len) {
    fwrite(text, 1, len, stdout);
    return fflush(stdout);
}

static int fail(const loam_error *err) {
    fprintf(stderr, "%s\n%s\n", err->message, err->hint);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: embed <model> <prompt>\n");
        return 2;
    }
    loam_error err;
    loam_model *model = NULL;
    loam_session *session = NULL;
    loam_generate_options options = LOAM_GENERATE_DEFAULTS;
    options.temperature = 0;
    loam_status status = loam_model_open(argv[1], NULL, &model, &err);
    if (status == LOAM_OK) status = loam_session_new(model, NULL, &session, &err);
    if (status == LOAM_OK)
        status = loam_generate(session, argv[2], &options, print, NULL, NULL, &err);
    loam_session_free(session);
    loam_model_close(model);
    return status == LOAM_OK ? 0 : fail(&err);
}
