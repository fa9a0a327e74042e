//! The graph of a definition as text that other programs draw, or that people read.
//! Knows nothing of where a definition comes from.

use std::fmt::Write;

use orc_domain::{Definition, StepKind};

use super::outline::{self, StepOutline};

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
    let mut out = match how {
        Drawing::Mermaid => "flowchart TD\n".to_owned(),
        Drawing::Dot => format!("digraph {} {{\n", quoted(&definition.name)),
        Drawing::Text => String::new(),
    };
    // Texts are quoted, ids are numbered: a step may have any name.
    let inside = usize::from(how != Drawing::Text);
    block(&mut out, how, &outline::steps(definition), ("s", inside));
    for (word, steps) in outline::handlers(definition) {
        part(&mut out, how, word, &steps, (word, inside));
    }
    if how == Drawing::Dot {
        out.push_str("}\n");
    }
    out
}

/// Steps that belong together, each followed by what is inside it.
fn block(out: &mut String, how: Drawing, steps: &[StepOutline<'_>], (prefix, depth): (&str, usize)) {
    let indent = "  ".repeat(depth);
    for (place, step) in steps.iter().enumerate() {
        let id = format!("{prefix}{place}");
        match how {
            Drawing::Mermaid => {
                let (open, close) = edges(&step.step.kind);
                let name = step.name.replace('"', "#quot;").replace('\n', " ");
                writeln!(out, "{indent}{id}{open}\"{name}\"{close}").ok();
            }
            Drawing::Dot => {
                let shape = shape(&step.step.kind);
                writeln!(out, "{indent}{id} [label={}, shape={shape}];", quoted(step.name)).ok();
            }
            Drawing::Text => {
                let after = if step.needs.is_empty() { "" } else { "  after " };
                let goto = step.goto.map_or_else(String::new, |goto| format!(", else to {goto}"));
                let needs = step.needs.join(", ");
                writeln!(out, "{indent}{}  ({}){after}{needs}{goto}", step.id, step.kind).ok();
            }
        }
        for (word, inner) in [("each", &step.each), ("compensate", &step.compensate)] {
            if !inner.is_empty() {
                part(out, how, word, inner, (&format!("{id}_{word}"), depth));
                match how {
                    Drawing::Mermaid => writeln!(out, "{indent}{id} -.-> {id}_{word}").ok(),
                    Drawing::Dot => writeln!(out, "{indent}{id} -> {id}_{word}_0 [style=dashed];").ok(),
                    Drawing::Text => None,
                };
            }
        }
    }
    let arrow = match how {
        Drawing::Mermaid => ("-->", ""),
        Drawing::Dot => ("->", ";"),
        Drawing::Text => return,
    };
    for (place, step) in steps.iter().enumerate() {
        for need in &step.step.needs {
            writeln!(out, "{indent}{prefix}{need} {} {prefix}{place}{}", arrow.0, arrow.1).ok();
        }
        if let Some(target) = step.step.goes_to() {
            match how {
                Drawing::Mermaid => writeln!(out, "{indent}{prefix}{place} -->|false| {prefix}{target}").ok(),
                Drawing::Dot => {
                    writeln!(out, "{indent}{prefix}{place} -> {prefix}{target} [label=false];").ok()
                }
                Drawing::Text => None,
            };
        }
    }
}

/// The steps inside a step, or those of a handler, under a word.
fn part(out: &mut String, how: Drawing, word: &str, steps: &[StepOutline<'_>], (id, depth): (&str, usize)) {
    let indent = "  ".repeat(depth);
    let (open, close) = match how {
        Drawing::Mermaid => (format!("subgraph {id}[\"{word}\"]"), "end"),
        Drawing::Dot => (format!("subgraph cluster_{id} {{ label={};", quoted(word)), "}"),
        Drawing::Text => (format!("{}{word}:", if id == word { "" } else { "  " }), ""),
    };
    writeln!(out, "{indent}{open}").ok();
    let deeper = if how == Drawing::Text && id != word { depth + 2 } else { depth + 1 };
    block(out, how, steps, (&format!("{id}_"), deeper));
    if !close.is_empty() {
        writeln!(out, "{indent}{close}").ok();
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.replace('\n', " "))
}

/// The brackets of a Mermaid node.
fn edges(kind: &StepKind) -> (&'static str, &'static str) {
    match kind {
        StepKind::Condition { .. } => ("{", "}"),
        StepKind::Parallel { .. } | StepKind::ForEach { .. } | StepKind::Workflow { .. } => ("[[", "]]"),
        StepKind::Delay { .. }
        | StepKind::Until { .. }
        | StepKind::Signal { .. }
        | StepKind::Event { .. }
        | StepKind::Approval { .. } => ("(", ")"),
        StepKind::Task { .. } | StepKind::State { .. } | StepKind::Message { .. } | StepKind::Emit { .. } => {
            ("[", "]")
        }
    }
}

/// The shape of a Graphviz node.
fn shape(kind: &StepKind) -> &'static str {
    match edges(kind).0 {
        "{" => "diamond",
        "[[" => "box3d",
        "(" => "ellipse",
        _ => "box",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Compiler;

    #[test]
    fn an_edge_shows_where_a_false_condition_goes() {
        let text = "name: G\nsteps:\n- { id: a, condition: 'true', onFalse: { goto: c } }\n- { id: b }\n- { id: c }\n";
        let config = orc_domain::ClusterConfig::default();
        let definition = Compiler::new(&config).text(text).expect("it compiles").definition;
        assert!(draw(&definition, Drawing::Mermaid).contains("\n  s0 -->|false| s2\n"));
        assert!(draw(&definition, Drawing::Dot).contains("s0 -> s2 [label=false];"));
        let text = "a  (condition), else to c\nb  (task)  after a\nc  (task)  after b\n";
        assert_eq!(draw(&definition, Drawing::Text), text);
    }

    #[test]
    fn a_graph_is_drawn_in_each_form() {
        let text = "name: G\nsteps:\n- { id: a, name: 'The \"first\"' }\n- { id: b, needs: [a], condition: 'true' }\n\
                    - { id: c, needs: [a], foreach: { items: '[1]', as: one }, action: x }\n\
                    finally: [{ id: z, action: z }]\n";
        let config = orc_domain::ClusterConfig::default();
        let definition = Compiler::new(&config).text(text).expect("it compiles").definition;
        let mermaid = "flowchart TD\n  s0[\"The #quot;first#quot;\"]\n  s1{\"b\"}\n  s2[[\"c\"]]\n\
                       \x20 subgraph s2_each[\"each\"]\n    s2_each_0[\"c\"]\n  end\n  s2 -.-> s2_each\n\
                       \x20 s0 --> s1\n  s0 --> s2\n  subgraph finally[\"finally\"]\n    finally_0[\"z\"]\n  end\n";
        assert_eq!(draw(&definition, Drawing::Mermaid), mermaid);
        let dot = draw(&definition, Drawing::Dot);
        assert!(dot.starts_with("digraph \"G\" {") && dot.contains("s0 -> s1;"), "{dot}");
        assert!(
            dot.contains("subgraph cluster_s2_each { label=\"each\";") && dot.ends_with("  }\n}\n"),
            "{dot}"
        );
        let text = "a  (task)\nb  (condition)  after a\nc  (foreach)  after a\n  each:\n    c  (task)\n\
                    finally:\n  z  (task)\n";
        assert_eq!(draw(&definition, Drawing::Text), text);
    }
}
