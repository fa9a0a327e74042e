//! Tables of expressions and what they are.

use super::*;

#[test]
fn names_mean_the_nearest_step_then_the_inputs() {
    check_values(&[
        ("accuracy", "0.9"),
        ("rows", "5"),
        ("files", r#"["a","b"]"#),
        ("seed", "7"),
        ("inputs.seed", "1"),
        ("epochs", "3"),
        ("nested.deep[1].x", "2"),
        ("steps.prepare.outputs.rows", "1000"),
        ("steps['train'].outputs['model-name']", r#""m1""#),
        ("steps.train.status", r#""completed""#),
        ("steps.train.attempts", "1"),
        ("steps.train.error", "null"),
        ("steps.report.status", r#""pending""#),
        ("size(steps)", "5"),
        ("run.id", r#""run_00000000000000000000000001""#),
        ("run.workflow + '/' + run.labels.team", r#""pipeline/ml""#),
        ("has(steps.train.outputs.accuracy)", "true"),
        ("has(steps.train.outputs.nothing)", "false"),
        ("has(steps.report.outputs.nothing)", "false"),
        ("has(inputs.nothing) && inputs.nothing > 1", "false"),
        ("type(rows) == int", "true"),
        ("state('app.limit').max + 1", "8"),
        ("state('app.none') == null", "true"),
    ]);
}

#[test]
fn a_name_that_does_not_exist_is_an_error_that_says_what_exists() {
    let all = "accuracy, epochs, files, loss, model-name, nested, rows, seed, threshold, who";
    check_values(&[
        ("accurcy > 0.85", &format!("UNKNOWN_NAME: unknown name `accurcy`, have: {all}")),
        ("accurcy > 0.85 || true", &format!("UNKNOWN_NAME: unknown name `accurcy`, have: {all}")),
        ("elsewhere", &format!("UNKNOWN_NAME: unknown name `elsewhere`, have: {all}")),
        (
            "steps.trian.outputs",
            "UNKNOWN_NAME: unknown name `steps.trian`, have: prepare, train, gate, report, lone",
        ),
        (
            "steps.train.outputs.accurcy",
            "UNKNOWN_NAME: unknown name `steps.train.outputs.accurcy`, have: accuracy, loss, model-name, nested, rows",
        ),
        ("steps.report.outputs.url", "UNKNOWN_NAME: unknown name `steps.report.outputs.url`, have: nothing"),
        ("rows.x", "UNKNOWN_NAME: unknown name `rows.x`, have: nothing, `rows` is not an object"),
        ("inputs.epoch + 1", "UNKNOWN_NAME: unknown name `inputs.epoch`, have: epochs, seed, threshold, who"),
        ("[1].map(x, y)", &format!("UNKNOWN_NAME: unknown name `y`, have: {all}")),
    ]);
}

#[test]
fn whole_and_broken_numbers_mix() {
    check_values(&[
        ("rows * 2", "10"),
        ("rows * 1.5", "7.5"),
        ("1.5 * rows", "7.5"),
        ("rows + accuracy", "5.9"),
        ("rows - 0.5", "4.5"),
        ("rows / 2", "2"),
        ("rows / 2.0", "2.5"),
        ("double(rows) / 2", "2.5"),
        ("rows % 2", "1"),
        ("-rows", "-5"),
        ("accuracy > 0", "true"),
        ("rows >= 4.5", "true"),
        ("rows == 5.0", "true"),
        ("5.0 in [5]", "true"),
        ("rows + 1u", "6"),
        ("int(7.9) + rows", "12"),
        ("[1, 2.5].map(x, x * 2)", "[2,5.0]"),
        ("files.map(f, f + '!').size() + 0.5", "2.5"),
        ("rows / 0", "EXPRESSION_FAILED: `rows / 0`: division by zero"),
        ("accuracy / 0", "EXPRESSION_FAILED: `accuracy / 0`: division by zero"),
        ("9223372036854775807 + 1", "EXPRESSION_FAILED: `9223372036854775807 + 1`: a number is out of range"),
    ]);
}

#[test]
fn the_language_is_whole() {
    check_values(&[
        ("'a' + 'b'", r#""ab""#),
        ("[1] + [2]", "[1,2]"),
        ("{'a': {'b': rows}}", r#"{"a":{"b":5}}"#),
        ("files.exists(f, f == 'b')", "true"),
        ("files.all(f, f != 'c')", "true"),
        ("files.exists_one(f, f == 'b')", "true"),
        ("files.filter(f, f > 'a')", r#"["b"]"#),
        ("[1, 2, 3].map(x, x > 1, x * x)", "[4,9]"),
        ("nested.map(k, k)", r#"["deep"]"#),
        ("accuracy > threshold ? 'good' : 'bad'", r#""good""#),
        ("who.startsWith('Ann') && who.matches('A.n.*')", "true"),
        ("matches(who, '^A') && ['ab', 'b'].filter(s, s.matches('^a')).size() == 1", "true"),
        (
            "who.matches('(')",
            "EXPRESSION_FAILED: `who.matches('(')`: Error executing function 'matches': '(' not a valid regex:\nregex parse error:\n    (\n    ^\nerror: unclosed group",
        ),
        (
            "rows.matches('a')",
            "EXPRESSION_FAILED: `rows.matches('a')`: found no matching overload for 'matches' applied to '(int, string)'",
        ),
        ("string(rows) + ' rows'", r#""5 rows""#),
        ("timestamp('2024-05-06T07:08:09Z').getFullYear()", "2024"),
        ("duration('90s')", "90000"),
        ("inputs[?'nothing'].orValue(4)", "4"),
        ("optional.of(rows).value()", "5"),
        (
            "1 > 'a'",
            "EXPRESSION_FAILED: `1 > 'a'`: found no matching overload for '_>_' applied to '(int, string)'",
        ),
        ("'a' + 1", "EXPRESSION_FAILED: `'a' + 1`: `add` does not work on a string and a number"),
        ("files[7]", "EXPRESSION_FAILED: `files[7]`: an index is out of bounds"),
        ("rows ? 1 : 2", "EXPRESSION_FAILED: `rows ? 1 : 2`: int where bool is needed"),
        ("type(rows)", r#""int""#),
        ("b'a'", "EXPRESSION_FAILED: `b'a'`: the result is bytes, which JSON cannot hold"),
    ]);
}
