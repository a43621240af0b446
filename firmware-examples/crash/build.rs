//! Links for the board.

fn main() {
    mtslvr_embed::link();
}
