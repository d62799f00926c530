//! Examples of embedding Podwarden; each is a file of its own: `cargo run --example NAME`.
