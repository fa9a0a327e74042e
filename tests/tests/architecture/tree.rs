//! The files of this repository as text.
//! Knows nothing of what is right or wrong in them.

use std::path::{Path, PathBuf};

/// A file and its path from the root, with `/` between the parts.
pub struct File {
    pub path: String,
    pub text: String,
}

/// Build output, version control and linked libraries are not ours to judge.
const SKIPPED: [&str; 6] = [".git", ".rocksdb", "target", "node_modules", "__pycache__", "LICENSE"];

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// Every file that is text, ours, and not a log.
pub fn text_files() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust source.
pub fn rust_files() -> Vec<File> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// The crate folder a path lies in.
pub fn crate_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository can be read");
    for entry in entries {
        let entry = entry.expect("a folder of the repository can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("an entry has a type");
        if SKIPPED.contains(&name.as_str()) || name.ends_with(".log") {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}

#[test]
fn a_path_names_its_crate() {
    assert_eq!(crate_of("raft/src/lib.rs"), "raft");
    assert_eq!(crate_of("Makefile"), "Makefile");
}
