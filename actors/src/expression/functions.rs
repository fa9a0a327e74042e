//! The functions that rewritten expressions call: arithmetic that mixes whole and broken numbers, and the account.
//! Their names begin with `@`, which no source can.

use std::sync::{Arc, LazyLock};

use cel::{
    Env, ExecutionError, Value,
    common::{
        types::{CelDouble, CelInt, CelList, CelMap, CelString, CelUInt, DYN_TYPE},
        value::{CowVal, Val},
    },
};

use super::{budget, pattern};

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

pub(super) const TICK: &str = "@tick";
pub(super) const WEIGH: &str = "@weigh";
pub(super) const ITERATE: &str = "@iterate";
pub(super) const MATCHES: &str = "@matches";

/// The operators that are replaced, and by what.
pub(super) const ARITHMETIC: [(&str, &str); 5] =
    [("_+_", "@add"), ("_-_", "@sub"), ("_*_", "@mul"), ("_/_", "@div"), ("_%_", "@rem")];

/// Functions that source may call; `has`, `all`, `exists`, `exists_one`, `map` and `filter` are macros and gone by then.
pub(super) const KNOWN: [&str; 32] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "bytes",
    "double",
    "int",
    "uint",
    "bool",
    "dyn",
    "type",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "of",
    "none",
    "ofNonZeroValue",
    "hasValue",
    "value",
    "or",
    "orValue",
];

pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    let unary: [(&str, cel::common::functions::Function); 3] =
        [(TICK, tick), (WEIGH, weigh), (ITERATE, iterate)];
    for (name, function) in unary {
        env.add_overload(name, name, vec![DYN_TYPE], function).expect("the name is new");
    }
    let binary: [(&str, cel::common::functions::Function); 6] =
        [("@add", add), ("@sub", sub), ("@mul", mul), ("@div", div), ("@rem", rem), (MATCHES, matches)];
    for (name, function) in binary {
        env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], function).expect("the name is new");
    }
    Arc::new(env)
});

fn only<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> CowVal<'b, 'v> {
    args.into_iter().next().expect("declared with one argument")
}

fn tick<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    budget::tick()?;
    Ok(only(args))
}

fn weigh<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let value = only(args);
    budget::weigh(weight(value.as_ref()))?;
    Ok(value)
}

/// The functions of the language as they are.
static LANGUAGE: LazyLock<Env> = LazyLock::new(Env::stdlib);

/// `text.matches(pattern)`, unless that could take minutes.
fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    budget::tick()?;
    if let Some(text) = args[0].downcast_ref::<CelString>()
        && let Some(regex) = args[1].downcast_ref::<CelString>()
    {
        pattern::check(regex.inner(), text.inner())
            .map_err(|error| ExecutionError::function_error("matches", error))?;
    }
    match LANGUAGE.find_overload("matches", &args) {
        Some(matches) => matches(args),
        None => {
            let types = args.iter().map(|argument| argument.get_type().name().to_owned()).collect();
            Err(ExecutionError::no_such_overload("matches", types))
        }
    }
}

fn iterate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let range = only(args);
    let elements = range.as_sizer().map_or(0, |sizer| u64::try_from(*sizer.size().inner()).unwrap_or(0));
    budget::iterate(elements, weight(range.as_ref()))?;
    Ok(range)
}

/// About how many bytes a value takes.
fn weight(value: &dyn Val) -> u64 {
    let inside = if let Some(text) = value.downcast_ref::<CelString>() {
        text.inner().len() as u64
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().iter().map(|item| weight(item.as_ref())).sum()
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        map.inner().iter().map(|(key, item)| weight(key.inner()) + weight(item.as_ref())).sum()
    } else {
        0
    };
    inside + 16
}

enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(args, &Arithmetic::Add)
}

fn sub<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(args, &Arithmetic::Sub)
}

fn mul<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(args, &Arithmetic::Mul)
}

fn div<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(args, &Arithmetic::Div)
}

fn rem<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(args, &Arithmetic::Rem)
}

fn arithmetic<'b, 'v>(args: Vec<CowVal<'b, 'v>>, operation: &Arithmetic) -> Outcome<'b, 'v> {
    let mut args = args.into_iter();
    let (lhs, rhs) = args.next().zip(args.next()).expect("declared with two arguments");
    let (lhs, rhs) = alike(lhs, rhs);
    match operation {
        Arithmetic::Add => budget::weigh(weight(lhs.as_ref()) + weight(rhs.as_ref()))?,
        Arithmetic::Sub | Arithmetic::Mul | Arithmetic::Div | Arithmetic::Rem => budget::tick()?,
    }
    let result = match operation {
        Arithmetic::Add => lhs.as_adder().map(|lhs| lhs.add(rhs.as_ref())),
        Arithmetic::Sub => lhs.as_subtractor().map(|lhs| lhs.sub(rhs.as_ref())),
        Arithmetic::Mul => lhs.as_multiplier().map(|lhs| lhs.mul(rhs.as_ref())),
        // CEL says infinity, which would make a condition silently true.
        Arithmetic::Div if is_zero(rhs.as_ref()) => {
            return Err(ExecutionError::DivisionByZero(Value::Int(0)));
        }
        Arithmetic::Div => lhs.as_divider().map(|lhs| lhs.div(rhs.as_ref())),
        Arithmetic::Rem => lhs.as_modder().map(|lhs| lhs.modulo(rhs.as_ref())),
    };
    let unsupported = || {
        let of = |value: &dyn Val| Value::try_from(value).unwrap_or(Value::Null);
        ExecutionError::UnsupportedBinaryOperator(operation.sign(), of(lhs.as_ref()), of(rhs.as_ref()))
    };
    Ok(CowVal::Owned(result.ok_or_else(unsupported)??.into_owned()))
}

impl Arithmetic {
    fn sign(&self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Sub => "-",
            Arithmetic::Mul => "*",
            Arithmetic::Div => "/",
            Arithmetic::Rem => "%",
        }
    }
}

fn is_zero(value: &dyn Val) -> bool {
    value.downcast_ref::<CelDouble>().is_some_and(|double| *double.inner() == 0.0)
}

/// Two numbers of different types as one type: broken if either is, else whole.
fn alike<'b, 'v>(lhs: CowVal<'b, 'v>, rhs: CowVal<'b, 'v>) -> (CowVal<'b, 'v>, CowVal<'b, 'v>) {
    let is_double = |value: &CowVal| value.downcast_ref::<CelDouble>().is_some();
    let is_uint = |value: &CowVal| value.downcast_ref::<CelUInt>().is_some();
    match (is_double(&lhs), is_double(&rhs)) {
        (true, false) => (lhs, broken(rhs)),
        (false, true) => (broken(lhs), rhs),
        (true, true) => (lhs, rhs),
        (false, false) if is_uint(&lhs) != is_uint(&rhs) => (whole(lhs), whole(rhs)),
        (false, false) => (lhs, rhs),
    }
}

/// A whole number as a broken one; anything else as it is.
fn broken<'b, 'v>(value: CowVal<'b, 'v>) -> CowVal<'b, 'v> {
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return CowVal::owned(CelDouble::from(*int.inner() as f64));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return CowVal::owned(CelDouble::from(*uint.inner() as f64));
    }
    value
}

/// A number without sign as one with, where it fits; anything else as it is.
fn whole<'b, 'v>(value: CowVal<'b, 'v>) -> CowVal<'b, 'v> {
    let fits = value.downcast_ref::<CelUInt>().and_then(|uint| i64::try_from(*uint.inner()).ok());
    match fits {
        Some(int) => CowVal::owned(CelInt::from(int)),
        None => value,
    }
}
