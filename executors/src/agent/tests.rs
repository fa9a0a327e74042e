//! Agents that are shell scripts, asked through the handler as a worker does.

use std::fs;
use std::path::Path;
use std::process::Command;

use orc_client::TaskCtx;
use orc_client::wire::raw;
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::*;
use crate::tests::context;

fn fake(script: &str) -> Agents {
    Agents::default().with("fake", ["sh", "-c", script].map(str::to_owned).to_vec())
}

async fn ask_with(ctx: TaskCtx, agents: Agents, payload: Value) -> Result<Value, TaskError> {
    let output = agent_handler(agents).run(ctx, raw(&payload).expect("it has a JSON form")).await?;
    Ok(serde_json::from_str(output.get()).expect("JSON"))
}

/// What becomes of asking a script, with these fields of the payload besides the provider.
async fn outcome(script: &str, mut payload: Value) -> Result<Value, TaskError> {
    payload["provider"] = "fake".into();
    ask_with(context().0, fake(script), payload).await
}

/// A script that writes these lines.
fn says(lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    format!("cat <<'END'\n{}\nEND", lines.join("\n"))
}

/// Makes a program of a script. A shell writes it: this process would hand the open file to what other tests start.
fn install(program: &Path, script: &str) {
    let write = "printf '%s' \"$1\" > \"$0\" && chmod +x \"$0\"";
    let status = Command::new("sh").args(["-c", write]).arg(program).arg(script).status();
    assert!(status.expect("a shell").success());
}

#[tokio::test]
async fn a_stream_is_a_log_for_people_and_a_result_with_its_cost() {
    let script = says(&[
        json!({ "type": "system", "subtype": "init" }),
        json!({ "type": "assistant", "message": { "content": [{ "type": "text", "text": "I look." },
            { "type": "tool_use", "name": "Read", "input": {} }] } }),
        json!({ "type": "user", "message": "x".repeat(20_000) }),
        json!({ "type": "assistant", "message": { "content": [{ "type": "text", "text": "y".repeat(9_000) },
            { "type": "tool_use", "name": "Edit", "input": { "text": "z".repeat(9_000) } }] } }),
        json!({ "type": "result", "subtype": "success", "is_error": false, "result": "Two bugs.", "num_turns": 3,
            "total_cost_usd": 0.25, "usage": { "output_tokens": 9 }, "session_id": "s-1" }),
    ]);
    let (ctx, _stop) = context();
    let agents = fake(&format!("echo why >&2; {script}\necho bye"));
    let output = ask_with(ctx.clone(), agents, json!({ "provider": "fake", "prompt": "Look" })).await;
    let facts = json!({ "costUsd": 0.25, "turns": 3, "usage": { "output_tokens": 9 }, "sessionId": "s-1" });
    assert_eq!(output, Ok(json!({ "text": "Two bugs.", "agent": facts })));

    let logged = ctx.logged();
    let of = |stream: &str| -> Vec<&str> {
        let lines = logged.iter().filter(|line| line.stream.to_string() == stream);
        lines.map(|line| &line.text[..line.text.len().min(12)]).collect()
    };
    assert_eq!(of("stderr"), ["why"]);
    let said = of("stdout");
    assert!(said[0].starts_with('{') && said[3].starts_with('{') && said[6].starts_with('{'), "{said:?}");
    assert_eq!((said[1], said[2], said[4], said[5]), ("I look.", "tool Read", "yyyyyyyyyyyy", "tool Edit"));
    assert_eq!(said[7..], ["bye"]);
}

#[tokio::test]
async fn any_program_can_be_an_agent() {
    let script = "echo \"$ORC_AGENT_PROMPT/$ORC_AGENT_MODEL/$ORC_AGENT_MAX_TURNS/$ORC_AGENT_ALLOWED_TOOLS/$MINE\"; cat";
    let payload = json!({ "prompt": "Do it", "model": "m", "maxTurns": 2, "allowedTools": ["a", "b"], "env": { "MINE": "1" } });
    let output = outcome(script, payload).await.expect("a result");
    assert_eq!(output, json!({ "text": "Do it/m/2/a,b/1\nDo it", "agent": {} }));

    let folder = tempfile::tempdir().expect("a folder");
    let output = outcome("pwd", json!({ "prompt": "p", "workdir": folder.path() })).await.expect("a result");
    assert_eq!(output["text"].as_str(), folder.path().to_str());
    let output = outcome("pwd; ls -A | wc -l", json!({ "prompt": "p" })).await.expect("a result");
    let text = output["text"].as_str().expect("text");
    assert!(text.contains("/orc-") && text.ends_with("\n0"), "a fresh folder: {text}");

    let output = outcome("head -c 2000000 /dev/zero | tr '\\0' x; echo end", json!({ "prompt": "p" })).await;
    let output = output.expect("a result");
    assert!(output["text"].as_str().is_some_and(|text| text.len() > 100_000 && text.ends_with("xend")));
    assert_eq!(output["truncated"], json!(true));
}

#[tokio::test]
async fn the_environment_of_an_agent_is_scrubbed() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let output = outcome("env", json!({ "prompt": "p" })).await.expect("a result");
    let text = output["text"].as_str().expect("text");
    assert!(text.contains("ORC_TASK_ID=task_1") && text.contains("PATH="), "{text}");
    assert!(!text.contains("CARGO_MANIFEST_DIR"), "{text}");
}

#[tokio::test]
async fn an_answer_has_the_shape_that_was_asked_for() {
    let schema = json!({ "type": "object", "required": ["blocking"], "properties": { "blocking": { "type": "integer" } } });
    let ask = |script: String| {
        let payload = json!({ "prompt": "Review", "outputSchema": schema });
        async move { outcome(&script, payload).await }
    };
    let answer = "I see one.\n```json\n{\"blocking\": 1}\n```";
    let output = ask(says(&[json!({ "type": "result", "result": answer, "num_turns": 4 })])).await;
    assert_eq!(output, Ok(json!({ "blocking": 1, "agent": { "turns": 4 } })));
    let output = ask("echo '{\"blocking\": 0}'".to_owned()).await;
    assert_eq!(output, Ok(json!({ "blocking": 0, "agent": {} })));

    for (script, why) in [
        ("echo '{\"blocking\": \"no\"}'", "/blocking: \"no\" is not of type"),
        ("echo none", "it has no JSON"),
    ] {
        let failure = ask(script.to_owned()).await.expect_err("not of the shape");
        assert_eq!((failure.code.as_str(), failure.retryable), ("INVALID_OUTPUT", true));
        assert!(failure.message.contains(why), "{failure}");
    }

    let payload = json!({ "prompt": "Review", "outputSchema": { "const": "x" } });
    let script = "grep -q '^Review$' && echo \"$ORC_AGENT_PROMPT\" | grep -F \"$ORC_AGENT_OUTPUT_SCHEMA\" >&2 && echo '\"x\"'";
    assert_eq!(outcome(script, payload).await, Ok(json!({ "value": "x", "agent": {} })), "the agent is told");
}

#[tokio::test]
async fn failures_of_agents_have_codes() {
    let failure = |script: String, payload: Value| async move {
        let failure = outcome(&script, payload).await.expect_err("a failure");
        (failure.code, failure.message, failure.retryable)
    };
    let prompt = json!({ "prompt": "p" });
    let error = says(&[json!({ "type": "result", "is_error": true, "result": "no credit" })]);
    let expected = ("AGENT_FAILED".to_owned(), "the agent failed: no credit".to_owned(), true);
    assert_eq!(failure(error.clone(), prompt.clone()).await, expected);
    assert_eq!(
        failure(format!("{error}\nexit 1"), prompt.clone()).await,
        expected,
        "it tells more than its status"
    );
    let good = says(&[json!({ "type": "result", "result": "done" })]);
    let (code, message, _) = failure(format!("{good}\necho why >&2; exit 3"), prompt).await;
    assert_eq!((code.as_str(), message.as_str()), ("EXIT_3", "exit code 3: why"));
    let (code, _, retryable) = failure("touch began".to_owned(), json!({})).await;
    assert_eq!((code.as_str(), retryable), ("INVALID_PAYLOAD", false), "no prompt");
    let (code, _, retryable) =
        failure("true".to_owned(), json!({ "prompt": "p", "outputSchema": { "type": 7 } })).await;
    assert_eq!((code.as_str(), retryable), ("INVALID_PAYLOAD", false), "no schema");
    let (code, _, retryable) = failure("sleep 600".to_owned(), json!({ "prompt": "p", "timeout": 50 })).await;
    assert_eq!((code.as_str(), retryable), ("TASK_TIMEOUT", true));

    let unknown = json!({ "provider": "codex", "prompt": "p" });
    let unknown = ask_with(context().0, fake("true"), unknown).await.expect_err("unknown");
    assert_eq!((unknown.code.as_str(), unknown.retryable), ("UNKNOWN_PROVIDER", false));
    assert_eq!(unknown.message, "there is no provider codex, only claude-code, fake");
}

#[tokio::test]
async fn claude_code_is_asked_by_its_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "#!/bin/sh\nprintf '{\"type\":\"result\",\"result\":\"%s < %s\"}\\n' \"$*\" \"$(cat)\"\n";
    install(&folder.path().join("claude"), script);
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let payload = json!({ "prompt": "Hi", "model": "m", "env": { "PATH": path } });
    let output = ask_with(context().0, Agents::default(), payload).await.expect("a result");
    assert_eq!(output["text"], json!("-p --output-format stream-json --verbose --model m < Hi"));

    let payload = json!({ "prompt": "Hi", "env": { "PATH": "/nonexistent" } });
    let failure = ask_with(context().0, Agents::default(), payload).await.expect_err("not installed");
    assert_eq!((failure.code.as_str(), failure.retryable), ("SPAWN_FAILED", false));
    assert!(failure.message.starts_with("claude could not be started"), "{failure}");
}

#[tokio::test]
async fn a_cancelled_agent_is_gone() {
    let (ctx, stop) = context();
    let agents = fake("sleep 600 & echo $$; echo $!; wait");
    let work = tokio::spawn(ask_with(ctx.clone(), agents, json!({ "provider": "fake", "prompt": "p" })));
    while ctx.logged().len() < 2 {
        yield_now().await;
    }
    stop.cancel("enough");
    let failure = work.await.expect("no panic").expect_err("cancelled");
    assert_eq!((failure.code.as_str(), failure.retryable), ("CANCELLED", false));
    let is_alive =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let pids: Vec<String> = ctx.logged().into_iter().map(|line| line.text).collect();
    assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
}
