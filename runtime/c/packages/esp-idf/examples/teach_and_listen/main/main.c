// Listens to an I2S microphone, learns the last sound at the press of a button, says what it hears, and
// keeps what it was taught in the partition "sounds".
#include "driver/gpio.h"
#include "driver/i2s_std.h"
#include "esp_log.h"
#include "esp_partition.h"
#include "mtslvr.h"
#include "mtslvr_model.h"

#define BUTTON GPIO_NUM_9
#define BIT_CLOCK GPIO_NUM_4
#define WORD_CLOCK GPIO_NUM_5
#define DATA_IN GPIO_NUM_6

static const char *TAG = "sounds";

static _Alignas(MTSLVR_ALIGNMENT) uint8_t memory[MTSLVR_MEMORY_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t listener_memory[MTSLVR_LISTENER_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t store_memory[MTSLVR_STORE_SIZE];

static mtslvr *recogniser;
static mtslvr_listener *listener;
static mtslvr_store *store;

static int flash_read(void *partition, uint32_t offset, uint8_t *bytes, size_t len) {
    return esp_partition_read(partition, offset, bytes, len);
}

static int flash_write(void *partition, uint32_t offset, const uint8_t *bytes, size_t len) {
    return esp_partition_write(partition, offset, bytes, len);
}

static int flash_erase(void *partition, uint32_t offset, size_t len) {
    return esp_partition_erase_range(partition, offset, len);
}

// Logs an error, and tells whether there was one.
static bool failed(const char *what, mtslvr_error error) {
    if (error) {
        ESP_LOGE(TAG, "%s: %s", what, mtslvr_error_text(error));
    }
    return error != MTSLVR_ERROR_NONE;
}

// Opens the model and all that it works in, and loads what was taught.
static bool open_all(void) {
    const esp_partition_t *partition =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "sounds");
    if (!partition) {
        ESP_LOGE(TAG, "no partition is called sounds");
        return false;
    }
    mtslvr_flash flash = {
        .context = (void *)partition,
        .read = flash_read,
        .write = flash_write,
        .erase = flash_erase,
        .size = partition->size,
    };
    bool found;
    return !failed("open", mtslvr_open(mtslvr_model, MTSLVR_MODEL_SIZE, MTSLVR_CLASSES,
                                       MTSLVR_EXAMPLES, memory, sizeof memory, &recogniser)) &&
           !failed("listener", mtslvr_listener_open(recogniser, NULL, listener_memory,
                                                    sizeof listener_memory, &listener)) &&
           !failed("store", mtslvr_store_open(recogniser, &flash, store_memory, sizeof store_memory,
                                              &store)) &&
           !failed("load", mtslvr_load(recogniser, store, &found)) &&
           (!found || !failed("fit", mtslvr_fit(recogniser)));
}

static i2s_chan_handle_t open_microphone(void) {
    i2s_chan_handle_t channel;
    i2s_chan_config_t channel_config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_0, I2S_ROLE_MASTER);
    i2s_std_config_t config = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(MTSLVR_SAMPLE_RATE),
        .slot_cfg =
            I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_16BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED,
                     .bclk = BIT_CLOCK,
                     .ws = WORD_CLOCK,
                     .dout = I2S_GPIO_UNUSED,
                     .din = DATA_IN},
    };
    ESP_ERROR_CHECK(i2s_new_channel(&channel_config, NULL, &channel));
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(channel, &config));
    ESP_ERROR_CHECK(i2s_channel_enable(channel));
    return channel;
}

static void teach(void) {
    if (!failed("enrol", mtslvr_heard_enrol(recogniser, listener, "sound", NULL)) &&
        !failed("fit", mtslvr_fit(recogniser)) && !failed("save", mtslvr_save(recogniser, store))) {
        ESP_LOGI(TAG, "learnt");
    }
}

static void hear(const int16_t *samples, size_t count) {
    while (count > 0) {
        mtslvr_report report;
        mtslvr_class known;
        if (failed("listen", mtslvr_listen(recogniser, listener, samples, count, &report))) {
            return;
        }
        samples += report.used;
        count -= report.used;
        if (report.recognised &&
            !failed("class", mtslvr_class_get(recogniser, report.event.class_id, &known))) {
            ESP_LOGI(TAG, "heard %s", known.name);
        }
    }
}

void app_main(void) {
    gpio_config_t button = {
        .pin_bit_mask = 1ULL << BUTTON, .mode = GPIO_MODE_INPUT, .pull_up_en = GPIO_PULLUP_ENABLE};
    ESP_ERROR_CHECK(gpio_config(&button));
    if (!open_all()) {
        return;
    }
    i2s_chan_handle_t microphone = open_microphone();
    bool was_down = false;
    for (;;) {
        int16_t samples[256];
        size_t bytes;
        ESP_ERROR_CHECK(i2s_channel_read(microphone, samples, sizeof samples, &bytes, portMAX_DELAY));
        hear(samples, bytes / sizeof samples[0]);
        bool is_down = gpio_get_level(BUTTON) == 0;
        if (is_down && !was_down) {
            teach();
        }
        was_down = is_down;
    }
}
