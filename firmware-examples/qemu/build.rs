//! Links for the board, and sizes the firmware's buffers by the model that goes into flash.

fn main() {
    mtslvr_embed::link();
    if let Err(message) = mtslvr_embed::write_module() {
        println!("cargo::error={message}");
    }
}
