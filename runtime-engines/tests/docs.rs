//! The page of fields says what the table of fields says.

#[path = "../examples/fields.rs"]
mod fields;

#[test]
fn the_page_of_fields_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fields.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == fields::page(),
        "docs/fields.md is not what the table of fields says; make it again: cargo run -p runtime-engines --example \
         fields > docs/fields.md"
    );
}
