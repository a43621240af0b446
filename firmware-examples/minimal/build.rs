//! Links for the board, and writes the model and the sizes of its buffers as `model.rs`.

fn main() {
    mtslvr_embed::link();
    if let Err(message) = mtslvr_embed::write_module() {
        println!("cargo::error={message}");
    }
}
