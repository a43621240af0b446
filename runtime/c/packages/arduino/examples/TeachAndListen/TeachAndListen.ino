// Learns the last sound that was heard when "t" comes over the serial port, and says what it hears.
// For boards with a PDM microphone, such as the Nano 33 BLE Sense.
#include <PDM.h>
#include <mtslvr.h>
#include <mtslvr_model.h>

alignas(MTSLVR_ALIGNMENT) static uint8_t memory[MTSLVR_MEMORY_SIZE];
alignas(MTSLVR_ALIGNMENT) static uint8_t listenerMemory[MTSLVR_LISTENER_SIZE];

static mtslvr *recogniser;
static mtslvr_listener *listener;

// Samples from the microphone's interrupt to loop(): two seconds.
static int16_t ring[32768];
static volatile uint32_t written;
static uint32_t taken;
static const uint32_t LENGTH = sizeof ring / sizeof ring[0];

static void onSamples() {
  static int16_t block[256];
  int bytes = PDM.available();
  if (bytes > (int)sizeof block) {
    bytes = sizeof block;
  }
  int count = PDM.read(block, bytes) / 2;
  for (int i = 0; i < count; i++) {
    ring[(written + i) % LENGTH] = block[i];
  }
  written = written + count;
}

// Says an error, and tells whether there was one.
static bool failed(const char *what, mtslvr_error error) {
  if (error == MTSLVR_ERROR_NONE) {
    return false;
  }
  Serial.print(what);
  Serial.print(": ");
  Serial.println(mtslvr_error_text(error));
  return true;
}

void setup() {
  Serial.begin(115200);
  bool ready =
      !failed("open", mtslvr_open(mtslvr_model, MTSLVR_MODEL_SIZE, MTSLVR_CLASSES, MTSLVR_EXAMPLES,
                                  memory, sizeof memory, &recogniser)) &&
      !failed("listener", mtslvr_listener_open(recogniser, nullptr, listenerMemory,
                                               sizeof listenerMemory, &listener));
  PDM.onReceive(onSamples);
  if (!ready || !PDM.begin(1, MTSLVR_SAMPLE_RATE)) {
    Serial.println("cannot start");
    for (;;) {
    }
  }
}

static void teach() {
  if (!failed("enrol", mtslvr_heard_enrol(recogniser, listener, "sound", nullptr)) &&
      !failed("fit", mtslvr_fit(recogniser))) {
    Serial.println("learnt");
  }
}

void loop() {
  if (Serial.read() == 't') {
    teach();
  }
  if (written - taken > LENGTH) {
    taken = written; // samples were lost
  }
  while (taken != written) {
    // Up to the end of the ring at once.
    uint32_t at = taken % LENGTH;
    uint32_t count = written - taken;
    if (count > LENGTH - at) {
      count = LENGTH - at;
    }
    mtslvr_report report;
    if (failed("listen", mtslvr_listen(recogniser, listener, ring + at, count, &report))) {
      taken += count;
      continue;
    }
    taken += report.used;
    mtslvr_class known;
    if (report.recognised &&
        !failed("class", mtslvr_class_get(recogniser, report.event.class_id, &known))) {
      Serial.print("heard ");
      Serial.println(known.name);
    }
  }
}
