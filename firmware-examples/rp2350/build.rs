//! Links for the part, and sizes the firmware's memory by the model that goes into flash.

fn main() {
    mtslvr_embed::device_with_slots();
}
