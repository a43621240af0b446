//! Links for the board, sizes the firmware's buffers by the model that goes into flash, and says whose models it
//! takes.

fn main() {
    mtslvr_embed::link();
    if let Err(message) = mtslvr_embed::write_module().and_then(|()| mtslvr_embed::write_trust()) {
        println!("cargo::error={message}");
    }
}
