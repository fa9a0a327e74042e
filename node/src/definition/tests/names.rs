//! What expressions may name, place by place.
//! Knows the compiler by its public face only.

use super::{
    compiled,
    mistakes::{check, check_steps},
    workflow,
};

#[test]
fn a_step_names_steps_before_it() {
    let fine = "- { id: a }\n- { id: g, parallel: [{ id: b }, { id: c, if: steps.a.outputs.x }] }\n- id: d\n  if: steps.a.outputs.x && steps.b.outputs.x && has(steps.c.outputs.x) && steps['g'].status == 'completed'";
    compiled(&workflow(fine));
    check_steps(
        "- { id: train }\n- { id: b, if: steps.trian.outputs.x > 1 }",
        &["4:16 unknown-step the expression names unknown step `trian`, did you mean `train`?"],
    );
    check_steps(
        "- { id: a, if: steps.b.outputs.x }\n- { id: b, config: { x: '${{ steps.b.outputs.x }}' } }",
        &[
            "3:16 not-before the expression names step `b`, which is not before this step",
            "4:25 not-before the expression names step `b`, which is not before this step",
        ],
    );
    check_steps(
        "- { id: a }\n- { id: b, needs: [a] }\n- { id: c, needs: [a], if: steps.b.outputs.x }",
        &["5:28 not-before the expression names step `b`, which is not before this step"],
    );
    check_steps(
        "- { id: g, parallel: [{ id: b }, { id: c, if: steps.b.outputs.x }], if: steps.b.outputs.x }",
        &[
            "3:47 not-before the expression names step `b`, which is not before this step",
            "3:73 not-before the expression names step `b`, which is not before this step",
        ],
    );
}

#[test]
fn blocks_see_the_steps_around_them() {
    let fine = "name: W\ninputs: {}\nsteps:\n\
                - { id: shards, run: list }\n\
                - { id: deploy, run: x, compensate: { run: y, env: { V: '${{ steps.deploy.outputs.v }} ${{ steps.late.status }}' } } }\n\
                - { id: each, foreach: { items: steps.shards.outputs.s }, parallel: [{ id: one, if: steps.deploy.outputs.v == item }, { id: two, needs: [one], if: steps.one.outputs.x == index }] }\n\
                - { id: late }\n\
                onFailure: [{ id: tell, emit: { type: my.failure, data: '${{ steps.late.error }}' } }, { run: z, if: steps.tell.status == 'completed' }]\n\
                outputs: { x: steps.late.outputs.x }\n";
    compiled(fine);
    check_steps(
        "- { id: shards }\n- { id: each, foreach: { items: steps.each.outputs }, config: { x: '${{ steps.late.outputs }} ${{ steps.each.outputs }}' } }\n- { id: late, if: steps.one.outputs.x }\n- { id: g, foreach: { items: rows }, parallel: [{ id: one }] }",
        &[
            "4:33 not-before the expression names step `each`, which is not before this step",
            "4:68 not-before the expression names step `late`, which is not before this step",
            "4:68 not-before the expression names step `each`, which is not before this step",
            "5:19 not-before the expression names step `one`, which is not before this step",
        ],
    );
    check(
        "name: W\nsteps: [{ id: a }]\nonFailure: [{ id: f, run: x }]\nfinally: [{ run: x, if: steps.f.status == 'failed' }]\noutputs: { x: steps.f.outputs.x }",
        &[
            "4:25 not-before the expression names step `f`, which is not before this step",
            "5:15 not-before the expression names step `f`, which is not before this step",
        ],
    );
}

#[test]
fn declared_inputs_are_the_only_ones() {
    let with = |steps: &str| format!("name: W\ninputs: {{ epochs: integer, rate: number }}\nsteps:\n{steps}");
    compiled(&with(
        "- { id: a, config: { x: '${{ inputs.epochs + epochs }}', y: '${{ has(inputs.other) }}' } }",
    ));
    check(
        &with("- { id: a, config: { x: '${{ inputs.epoch }}', y: '${{ inputs.epochs + inputs.zebra }}' } }"),
        &[
            "4:25 unknown-input the expression names unknown input `epoch`, did you mean `epochs`?",
            "4:51 unknown-input the expression names unknown input `zebra`",
        ],
    );
    compiled(&workflow("- { id: a, if: inputs.anything }"));
}

#[test]
fn a_bare_name_must_be_an_input_or_come_from_a_step_before() {
    let with = |steps: &str| format!("name: W\ninputs: {{ epochs: integer }}\nsteps:\n{steps}");
    check(
        &with("- { id: a, if: epoch > 1 && type(epochs) == int && trigger.x && env.X == run.id }"),
        &["4:16 unknown-name the expression names unknown `epoch`, did you mean `epochs`?"],
    );
    compiled(&with("- { id: a }\n- { id: b, if: accuracy > 1 }"));
    compiled(&with("- { id: a, run: x, outputs: { accuracy: output.acc } }\n- { id: b, if: accuracy > 1 }"));
    check(
        &with(
            "- { id: a, run: x, outputs: { accuracy: output.acc } }\n- { id: b, delay: 1s }\n- { id: c, if: accurcy > 1 }",
        ),
        &["6:16 unknown-name the expression names unknown `accurcy`, did you mean `accuracy`?"],
    );
    compiled(&workflow("- { id: a, if: accurcy > 1 }"));
    let each = "- { id: each, foreach: { items: '[1]' }, action: x, config: { x: '${{ accuracy }}' } }";
    compiled(&with(&format!("- {{ id: a }}\n{each}")));
    check(
        &with(&format!("- {{ id: a, delay: 1s }}\n{each}")),
        &["5:66 unknown-name the expression names unknown `accuracy`"],
    );
}

#[test]
fn names_stand_for_something_only_where_they_are_bound() {
    let with = |steps: &str| format!("name: W\ninputs: {{}}\nsteps:\n{steps}");
    compiled(&with(
        "- { id: a, foreach: { items: '[1]', as: n }, config: { x: '${{ n + index }}' }, outputs: { x: output } }",
    ));
    check(
        &with(
            "- { id: a, if: n > 1, foreach: { items: '[n]', as: n }, action: x, outputs: { x: n } }\n- { id: b, delay: 1s, if: 'item == output' }",
        ),
        &[
            "4:16 unknown-name the expression names unknown `n`",
            "4:41 unknown-name the expression names unknown `n`",
            "4:82 unknown-name the expression names unknown `n`",
            "5:27 unknown-name the expression names unknown `item`",
            "5:27 unknown-name the expression names unknown `output`",
        ],
    );
}
