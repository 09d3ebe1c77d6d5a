/* Fuzz target: runtime configurations and files named .env. What is refused is refused with a reason and a place; what
 * is taken is whole. */
#include "fuzz/fuzz.h"

#include "app/runtime_config.h"
#include "deploy/dotenv.h"
#include "deploy/vault.h"

static void check_config(const struct runtime_config *config)
{
    struct vault_server server;
    for (uint32_t i = 0; i < config->provider_count; i++) {
        const struct runtime_provider *provider = &config->providers[i];
        FUZZ_CHECK(provider->type < RUNTIME_PROVIDER_TYPES && provider->at.line);
        if (provider->type != RUNTIME_VAULT)
            continue;
        FUZZ_CHECK(provider->token.text.ptr && provider->mount.text.ptr);
        if (vault_parse(provider->url.text, &server, NULL))
            FUZZ_CHECK(server.host.len && server.port && server.authority.len);
    }
    for (uint32_t i = 0; i < config->key_value_stores.count; i++)
        FUZZ_CHECK(config->key_value_stores.items[i].path.text.len && config->key_value_stores.items[i].label.text.len);
    for (uint32_t i = 0; i < config->blocked_count; i++)
        FUZZ_CHECK(config->blocked[i].bits <= (config->blocked[i].base.v6 ? 128 : 32));
}

static void read_config(struct str text)
{
    struct runtime_config config;
    struct manifest_problems problems = {0};
    struct err err = {0};
    bool done = runtime_config_read(&config, text, &problems, &err);
    FUZZ_CHECK(done == (problems.error_count == 0));
    if (done) {
        check_config(&config);
        runtime_config_free(&config);
    } else
        fuzz_check_error(&err, text.len);
    manifest_problems_free(&problems);
}

static void read_dotenv(struct str text)
{
    struct dotenv dotenv = {0};
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, (size_t)16 << 20);
    bool done = dotenv_read(&dotenv, text, STR("SPIN_"), &arena, &err);
    for (uint32_t i = 0; i < dotenv.count; i++) {
        FUZZ_CHECK(dotenv.items[i].name.len && dotenv.items[i].value.ptr);
        FUZZ_CHECK(dotenv_find(&dotenv, dotenv.items[i].name) != NULL);
    }
    if (!done)
        fuzz_check_error(&err, text.len);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    struct str text = {(const char *)copy, size};
    FUZZ_CHECK(toml_prepare(&err)); /* or nothing would be tried */
    read_config(text);
    read_dotenv(text);
    free(copy);
    return 0;
}
