//! What is refused, before or while it runs, and that nothing gets past the limits.

use super::*;

#[test]
fn an_expression_is_refused_before_it_runs() {
    let table: &[(&str, &str)] = &[
        ("a >", "(line 1, column 4)"),
        ("sucess()", "unknown function `sucess` (line 1, column 1)"),
        ("a &&\n  foo(b)", "unknown function `foo` (line 2, column 3)"),
        ("a.toUpper()", "unknown function `toUpper` (line 1, column 3)"),
        ("Thing{a: 1}", "unknown type `Thing`"),
        ("", "line 1"),
    ];
    for (expression, expected) in table {
        let message = check(expression).expect_err(expression).to_string();
        assert!(message.contains(expected), "{expression}: {message}");
    }
    assert_eq!(check(&"a".repeat(5000)), Err(ExpressionError::Long { bytes: 5000 }));
    check("accuracy > 0.85 && (success() || always())").expect("it is CEL");
}

#[test]
fn no_expression_can_exhaust_the_stack() {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(1300), close.repeat(1300));
    let deep =
        ["1+".repeat(2000) + "1", "a".to_owned() + &".b".repeat(2000), "a".to_owned() + &"[0]".repeat(1300)];
    let nests = [
        nested("(", ")"),
        nested("[", "]"),
        "size(".repeat(800),
        "true?1:".repeat(500),
        "1<".repeat(2000) + "1",
    ];
    for expression in deep.iter().chain(&nests) {
        assert_eq!(check(expression), Err(ExpressionError::Complex), "{}", &expression[..20]);
    }
    // The deepest that are let through are evaluated on a thread of 2 MiB, as tokio's are.
    let allowed = [
        "rows+".repeat(120) + "1",
        "size([".repeat(20) + "1" + &"])".repeat(20),
        "(".repeat(40) + "1" + &")".repeat(40),
    ];
    for expression in allowed {
        std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || {
                assert!(!value_of(&expression).starts_with("EXPRESSION"), "{}", value_of(&expression))
            })
            .expect("a thread starts")
            .join()
            .expect("the stack holds");
    }
}

#[test]
fn no_expression_can_exhaust_time_or_memory() {
    let hundred = format!("[{}]", vec!["0"; 100].join(","));
    let visits = format!("{hundred}.map(a, {hundred}.map(b, {hundred}.map(c, 1)))");
    let doubles = format!("['x']{}[0] == ''", ".map(s, s + s)".repeat(40));
    let swallowed = format!("{visits}.size() == 1 || true");
    let expected = [(visits, "100,000 iterations"), (doubles, "16 MiB"), (swallowed, "100,000 iterations")];
    for (expression, limit) in expected {
        let found = value_of(&expression);
        assert!(found.starts_with("EXPRESSION_FAILED") && found.ends_with(limit), "{found}");
    }
    let regex = "[ab]{0,5000}c";
    let slow = format!("['ab']{}[0].matches('{regex}')", ".map(s, s + s)".repeat(15));
    assert!(value_of(&slow).contains("needs a shorter text"), "{}", value_of(&slow));
    let long = format!("['{}']{}[0]", "x".repeat(100), ".map(s, s + s)".repeat(12));
    assert!(value_of(&long).contains("the limit is 262144"), "{}", value_of(&long));
}
