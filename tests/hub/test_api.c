#include "hub/hub_api.h"
#include "testing.h"

static void test_digests(void **state) {
    lm_digest *digest;
    char sha256[LM_DIGEST_SHA256_HEX], oid[LM_DIGEST_OID_HEX];
    assert_ok(lm_digest_new(6, &digest, &err));
    lm_digest_update(digest, "hel", 3);
    lm_digest_update(digest, "lo\n", 3);
    lm_digest_final(digest, sha256, oid);
    lm_digest_free(digest);
    /* printf 'hello\n' | sha256sum; printf 'hello\n' | git hash-object --stdin */
    assert_string_equal(sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_string_equal(oid, "ce013625030ba8dba906f756967f9e9ca394464a");
}

static void test_addresses(void **state) {
    lm_buf url;
    lm_buf_init(&url, 1000);
    const lm_hub_kind *hf = lm_hub_kind_find(LM_STR("huggingface")),
                      *ms = lm_hub_kind_find(LM_STR("modelscope"));
    assert_ptr_equal(hf, lm_hub_kind_default());
    assert_null(lm_hub_kind_find(LM_STR("other")));
    hf->put_list_url(&url, "http://h/", "a/b", "refs/pr/1");
    assert_string_equal(lm_buf_cstr(&url),
                        "http://h/api/models/a/b/revision/refs%2Fpr%2F1?blobs=true");
    lm_buf_reset(&url);
    hf->put_file_url(&url, "http://h", "a/b", "main", "x y/z#.gguf");
    assert_string_equal(lm_buf_cstr(&url), "http://h/a/b/resolve/main/x%20y/z%23.gguf");
    lm_buf_reset(&url);
    ms->put_file_url(&url, "http://h", "a/b", "master", "x/y&z");
    assert_string_equal(lm_buf_cstr(&url),
                        "http://h/api/v1/models/a/b/repo?Revision=master&FilePath=x%2Fy%26z");
    lm_buf_deinit(&url);
}

static void test_lists(void **state) {
    lm_hub_listing listing;
    static const char hf[] =
        "{\"sha\":\"abc1\",\"siblings\":[{\"rfilename\":\"b.gguf\",\"size\":7,\"blobId\":"
        "\"ce013625030ba8dba906f756967f9e9ca394464a\","
        "\"lfs\":{\"sha256\":\"5891B5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\","
        "\"size\":7}},"
        "{\"rfilename\":\"a.json\",\"size\":6,\"blobId\":"
        "\"ce013625030ba8dba906f756967f9e9ca394464a\"}]}";
    assert_ok(lm_hub_listing_parse(lm_hub_kind_default(), LM_STR(hf), "hub", &listing, &err));
    assert_string_equal(listing.commit, "abc1");
    assert_int_equal(listing.files.len, 2);
    assert_string_equal(listing.files.ptr[0].path, "a.json");
    assert_string_equal(listing.files.ptr[0].oid, "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_string_equal(listing.files.ptr[1].sha256,
                        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_string_equal(listing.files.ptr[1].oid, "");
    lm_hub_listing_deinit(&listing);
    static const char ms[] =
        "{\"Code\":200,\"Data\":{\"Files\":[{\"Path\":\"d\",\"Type\":\"tree\"},"
        "{\"Path\":\"d/x\",\"Type\":\"blob\",\"Size\":9,\"Sha256\":\"\"}]}}";
    assert_ok(lm_hub_listing_parse(lm_hub_kind_find(LM_STR("modelscope")), LM_STR(ms), "hub",
                                   &listing, &err));
    assert_int_equal(listing.files.len, 1);
    assert_int_equal(listing.files.ptr[0].size_bytes, 9);
    lm_hub_listing_deinit(&listing);
}

static void test_bad_lists(void **state) {
    static const struct {
        const char *text;
        loam_status status;
    } rows[] = {
        {"", LOAM_INVALID},
        {"{}", LOAM_INVALID},
        {"{\"siblings\":[{\"rfilename\":\"x\"}]}", LOAM_INVALID},
        {"{\"siblings\":[{\"rfilename\":\"../x\",\"size\":1}]}", LOAM_CORRUPT},
        {"{\"siblings\":[{\"rfilename\":\"x\",\"size\":-1}]}", LOAM_CORRUPT},
        {"{\"siblings\":[{\"rfilename\":\"x\",\"size\":9223372036854775807}]}", LOAM_CORRUPT},
        {"{\"siblings\":[{\"rfilename\":\"x\",\"size\":1},{\"rfilename\":\"x\",\"size\":2}]}",
         LOAM_CORRUPT},
        {"{\"siblings\":[{\"rfilename\":\"x\",\"size\":1,\"lfs\":{\"sha256\":\"12\"}}]}",
         LOAM_CORRUPT},
        {"{\"sha\":\"main/..\",\"siblings\":[]}", LOAM_CORRUPT},
    };
    lm_hub_listing listing;
    for (size_t i = 0; i < LM_COUNT_OF(rows); i++)
        assert_status(rows[i].status,
                      lm_hub_listing_parse(lm_hub_kind_default(), lm_str_of(rows[i].text), "hub",
                                           &listing, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
