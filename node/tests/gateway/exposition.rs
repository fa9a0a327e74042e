//! The text format of Prometheus, read strictly: what a scraper might refuse or take for something else is a panic.
//! Knows nothing of which metrics there are.

use std::collections::{BTreeMap, BTreeSet};

/// Metrics of one name.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    /// Values by the rest of their name and their labels, sorted.
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    suffix: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Everything that a node told.
#[derive(Debug, Default)]
pub struct Exposition(pub BTreeMap<String, Family>);

impl Exposition {
    /// Reads it whole.
    pub fn read(text: &str) -> Exposition {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let (mut helped, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut current = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and a sentence");
                assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                assert!(helped.contains(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(kind != "counter" || name.ends_with("_total"), "{line}");
                let family = Family { kind: kind.to_owned(), samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "a second time: {line}");
                current = name.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(seen.insert(series.to_owned()), "a second time: {line}");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let suffix =
                    name.strip_prefix(&*current).unwrap_or_else(|| panic!("under {current}: {line}"));
                let family = families.get_mut(&current).expect("its type was told");
                let allowed: &[&str] =
                    if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(allowed.contains(&suffix), "{line}");
                let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                family.samples.push(Sample { suffix: suffix.to_owned(), labels: read_labels(labels), value });
            }
        }
        families.iter().filter(|(_, family)| family.kind == "histogram").for_each(check_histogram);
        Exposition(families)
    }

    /// The value with exactly these labels; none if there is none.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let parts = [("_count", "_count"), ("_sum", "_sum"), ("", "")];
        let (family, suffix) = parts
            .into_iter()
            .find_map(|(ending, suffix)| Some((self.0.get(name.strip_suffix(ending)?)?, suffix)))?;
        let wanted: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = family.samples.iter().find(|one| one.suffix == suffix && one.labels == wanted);
        found.map(|sample| sample.value)
    }

    /// The sum of all values of a name that is no histogram.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |family| family.samples.iter().map(|sample| sample.value).sum())
    }
}

fn read_labels(text: &str) -> BTreeMap<String, String> {
    let mut rest = text.strip_suffix('}').unwrap_or_else(|| panic!("not closed: {text}"));
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{text}"
        );
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().unwrap_or_else(|| panic!("not closed: {text}")) {
                (at, '"') => break at,
                (_, '\\') => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    other => panic!("{other:?}: {text}"),
                },
                (_, letter) => value.push(letter),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "a label twice: {text}");
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

/// Buckets never fall, end with infinity, and agree with the count.
fn check_histogram((name, family): (&String, &Family)) {
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.suffix == "_bucket") {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").unwrap_or_else(|| panic!("{name} has a bucket without a bound"));
        buckets.entry(labels).or_default().push((bound.parse().expect("a number"), sample.value));
    }
    let of = |suffix: &str, labels: &BTreeMap<String, String>| {
        let mut found = family.samples.iter().filter(|one| one.suffix == suffix && one.labels == *labels);
        found.next().unwrap_or_else(|| panic!("{name}{suffix} is missing for {labels:?}")).value
    };
    for (labels, buckets) in &buckets {
        let grows = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        assert!(buckets.windows(2).all(grows), "{name} {labels:?}: {buckets:?}");
        let (bound, all) = buckets.last().expect("it has one");
        assert!(*bound == f64::INFINITY && (*all - of("_count", labels)).abs() < 0.5, "{name} {labels:?}");
        assert!(of("_sum", labels) >= 0.0);
    }
}
