//! The examples in the reference of workflow files compile and fit the JSON Schema.
//! Knows the compiler by its public face only.

use super::{compile, schema};

#[test]
fn every_example_of_the_reference_compiles() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/workflow-files.md");
    let text = std::fs::read_to_string(path).expect("the reference is there");
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3, "{} examples", examples.len());
    for example in examples {
        if let Err(errors) = compile(example) {
            panic!("{}of\n{example}", errors.render("example"));
        }
        assert_eq!(schema::mistakes(example), [""; 0], "{example}");
    }
}
