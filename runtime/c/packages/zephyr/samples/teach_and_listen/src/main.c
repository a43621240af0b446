// Listens to a PDM microphone, learns the last sound at the press of a button, says what it hears, and
// keeps what it was taught in the storage partition.
#include <mtslvr.h>
#include <mtslvr_model.h>
#include <zephyr/audio/dmic.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/storage/flash_map.h>

LOG_MODULE_REGISTER(sounds);

// A block of the microphone: a tenth of a second.
#define BLOCK_SIZE (MTSLVR_SAMPLE_RATE / 10 * sizeof(int16_t))
#define BLOCKS 8
#define READ_TIMEOUT_MS 1000

K_MEM_SLAB_DEFINE_STATIC(blocks, BLOCK_SIZE, BLOCKS, 4);

static const struct gpio_dt_spec button = GPIO_DT_SPEC_GET(DT_ALIAS(sw0), gpios);
static const struct device *const microphone = DEVICE_DT_GET(DT_NODELABEL(dmic_dev));

static _Alignas(MTSLVR_ALIGNMENT) uint8_t memory[MTSLVR_MEMORY_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t listener_memory[MTSLVR_LISTENER_SIZE];
static _Alignas(MTSLVR_ALIGNMENT) uint8_t store_memory[MTSLVR_STORE_SIZE];

static mtslvr *recogniser;
static mtslvr_listener *listener;
static mtslvr_store *store;

static int flash_read(void *area, uint32_t offset, uint8_t *bytes, size_t len) {
	return flash_area_read(area, offset, bytes, len);
}

static int flash_write(void *area, uint32_t offset, const uint8_t *bytes, size_t len) {
	return flash_area_write(area, offset, bytes, len);
}

static int flash_erase(void *area, uint32_t offset, size_t len) {
	return flash_area_erase(area, offset, len);
}

// Logs an error, and tells whether there was one.
static bool failed(const char *what, mtslvr_error error) {
	if (error) {
		LOG_ERR("%s: %s", what, mtslvr_error_text(error));
	}
	return error != MTSLVR_ERROR_NONE;
}

// Opens the model and all that it works in, and loads what was taught.
static bool open_all(void) {
	const struct flash_area *area;
	bool found;

	if (flash_area_open(FIXED_PARTITION_ID(storage_partition), &area)) {
		LOG_ERR("no storage partition");
		return false;
	}
	mtslvr_flash flash = {
		.context = (void *)area,
		.read = flash_read,
		.write = flash_write,
		.erase = flash_erase,
		.size = area->fa_size / MTSLVR_FLASH_PAGE * MTSLVR_FLASH_PAGE,
	};
	return !failed("open", mtslvr_open(mtslvr_model, MTSLVR_MODEL_SIZE, MTSLVR_CLASSES,
					   MTSLVR_EXAMPLES, memory, sizeof(memory), &recogniser)) &&
	       !failed("listener", mtslvr_listener_open(recogniser, NULL, listener_memory,
							sizeof(listener_memory), &listener)) &&
	       !failed("store", mtslvr_store_open(recogniser, &flash, store_memory,
						  sizeof(store_memory), &store)) &&
	       !failed("load", mtslvr_load(recogniser, store, &found)) &&
	       (!found || !failed("fit", mtslvr_fit(recogniser)));
}

static int start_microphone(void) {
	struct pcm_stream_cfg stream = {
		.pcm_rate = MTSLVR_SAMPLE_RATE,
		.pcm_width = 16,
		.block_size = BLOCK_SIZE,
		.mem_slab = &blocks,
	};
	struct dmic_cfg config = {
		.io = {.min_pdm_clk_freq = 1000000,
		       .max_pdm_clk_freq = 3500000,
		       .min_pdm_clk_dc = 40,
		       .max_pdm_clk_dc = 60},
		.streams = &stream,
		.channel = {.req_num_streams = 1, .req_num_chan = 1},
	};
	config.channel.req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT);
	int error = dmic_configure(microphone, &config);
	return error ? error : dmic_trigger(microphone, DMIC_TRIGGER_START);
}

static void teach(void) {
	if (!failed("enrol", mtslvr_heard_enrol(recogniser, listener, "sound", NULL)) &&
	    !failed("fit", mtslvr_fit(recogniser)) &&
	    !failed("save", mtslvr_save(recogniser, store))) {
		LOG_INF("learnt");
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
			LOG_INF("heard %s", known.name);
		}
	}
}

int main(void) {
	bool was_down = false;

	if (gpio_pin_configure_dt(&button, GPIO_INPUT) || !open_all() || start_microphone()) {
		LOG_ERR("cannot start");
		return 0;
	}
	for (;;) {
		void *block;
		size_t bytes;

		if (dmic_read(microphone, 0, &block, &bytes, READ_TIMEOUT_MS)) {
			continue;
		}
		hear(block, bytes / sizeof(int16_t));
		k_mem_slab_free(&blocks, block);
		bool is_down = gpio_pin_get_dt(&button) > 0;
		if (is_down && !was_down) {
			teach();
		}
		was_down = is_down;
	}
}
