//! The graph of a definition as text that other programs draw, or that people read.
//! Knows nothing of where a definition comes from.

use std::fmt::Write;

use orc_domain::{Definition, StepDef, StepKind};

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Drawing {
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
    /// Lines for people.
    Text,
}

/// Draws a definition.
pub fn draw(definition: &Definition, how: Drawing) -> String {
    match how {
        Drawing::Mermaid => mermaid(definition),
        Drawing::Dot => dot(definition),
        Drawing::Text => text(definition),
    }
}

/// The ids of the steps that must have ended before a step.
pub fn needs<'d>(definition: &'d Definition, step: &'d StepDef) -> impl Iterator<Item = &'d str> {
    step.needs.iter().filter_map(|need| definition.steps.get(usize::from(*need))).map(|step| &*step.id)
}

/// Texts are quoted, ids are numbered: a step may have any name.
fn mermaid(definition: &Definition) -> String {
    let mut out = String::from("flowchart TD\n");
    let quoted = |text: &str| text.replace('"', "#quot;").replace('\n', " ");
    for (place, step) in definition.steps.iter().enumerate() {
        let (open, close) = match step.kind {
            StepKind::Condition { .. } => ("{", "}"),
            StepKind::Parallel { .. } => ("[[", "]]"),
            StepKind::Delay { .. } => ("(", ")"),
            StepKind::Task { .. } => ("[", "]"),
        };
        writeln!(out, "  s{place}{open}\"{}\"{close}", quoted(&step.name)).ok();
    }
    for (place, step) in definition.steps.iter().enumerate() {
        for need in &step.needs {
            writeln!(out, "  s{need} --> s{place}").ok();
        }
    }
    out
}

fn dot(definition: &Definition) -> String {
    let quoted = |text: &str| format!("{:?}", text.replace('\n', " "));
    let mut out = format!("digraph {} {{\n", quoted(&definition.name));
    for step in &definition.steps {
        let shape = match step.kind {
            StepKind::Condition { .. } => "diamond",
            StepKind::Parallel { .. } => "box3d",
            StepKind::Delay { .. } => "ellipse",
            StepKind::Task { .. } => "box",
        };
        writeln!(out, "  {} [label={}, shape={shape}];", quoted(&step.id), quoted(&step.name)).ok();
        for need in needs(definition, step) {
            writeln!(out, "  {} -> {};", quoted(need), quoted(&step.id)).ok();
        }
    }
    out.push_str("}\n");
    out
}

fn text(definition: &Definition) -> String {
    let mut out = String::new();
    for step in &definition.steps {
        let needs: Vec<&str> = needs(definition, step).collect();
        let after = if needs.is_empty() { String::new() } else { format!("  after {}", needs.join(", ")) };
        writeln!(out, "{}  ({}){after}", step.id, step.kind.name()).ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Compiler;

    #[test]
    fn a_graph_is_drawn_in_each_form() {
        let text = "name: G\nsteps:\n- { id: a, name: 'The \"first\"' }\n- { id: b, needs: [a], condition: 'true' }\n";
        let config = orc_domain::ClusterConfig::default();
        let definition = Compiler::new(&config).text(text).expect("it compiles").definition;
        let mermaid = "flowchart TD\n  s0[\"The #quot;first#quot;\"]\n  s1{\"b\"}\n  s0 --> s1\n";
        assert_eq!(draw(&definition, Drawing::Mermaid), mermaid);
        let dot = draw(&definition, Drawing::Dot);
        assert!(dot.starts_with("digraph \"G\" {") && dot.contains("\"a\" -> \"b\";"), "{dot}");
        assert_eq!(draw(&definition, Drawing::Text), "a  (task)\nb  (condition)  after a\n");
    }
}
