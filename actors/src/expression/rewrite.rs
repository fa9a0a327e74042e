//! A parsed expression with calls put in: arithmetic that mixes numbers, and reports to the account of the evaluation.
//! What it means stays the same; the shapes that the crate `cel` evaluates in place (`map`, `all`, …) are kept.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};

use super::{
    analysis::{is_of_optional, state_of, status_of},
    functions::{ARITHMETIC, ITERATE, MATCHES, TICK, WEIGH},
};

/// Operators that cost nothing beyond their operands.
const FREE: [&str; 9] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::NOT_STRICTLY_FALSE,
    operators::INDEX,
    operators::OPT_INDEX,
    operators::OPT_SELECT,
    operators::NEGATE,
];

pub(super) fn rewrite(expression: IdedExpr) -> IdedExpr {
    let IdedExpr { id, expr } = expression;
    let expr = match expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => expr,
        Expr::Select(mut select) => {
            *select.operand = rewrite(*select.operand);
            Expr::Select(select)
        }
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(weighed).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    entry.key = rewrite(std::mem::take(&mut entry.key));
                    entry.value = weighed(std::mem::take(&mut entry.value));
                }
            }
            Expr::Map(map)
        }
        Expr::Comprehension(mut comprehension) => {
            let range = rewrite(std::mem::take(&mut comprehension.iter_range));
            comprehension.iter_range = call(ITERATE, range);
            comprehension.loop_step = rewrite(std::mem::take(&mut comprehension.loop_step));
            Expr::Comprehension(comprehension)
        }
        Expr::Call(of) => return rewrite_call(id, of),
    };
    IdedExpr { id, expr }
}

fn rewrite_call(id: u64, mut of: CallExpr) -> IdedExpr {
    if let Some(variable) = status_of(&of) {
        return IdedExpr { id, expr: Expr::Ident(variable.to_owned()) };
    }
    if let Some(variable) = state_of(&of) {
        return IdedExpr { id, expr: Expr::Ident(variable) };
    }
    if !is_of_optional(&of) {
        of.target = of.target.map(|target| Box::new(rewrite(*target)));
    }
    of.args = of.args.into_iter().map(rewrite).collect();
    if of.func_name == "matches" && of.args.len() + usize::from(of.target.is_some()) == 2 {
        of.args.splice(0..0, of.target.take().map(|target| *target));
        of.func_name = MATCHES.to_owned();
        return IdedExpr { id, expr: Expr::Call(of) };
    }
    let replacement = ARITHMETIC.iter().find(|(operator, _)| *operator == of.func_name && of.args.len() == 2);
    let (is_free, accumulates) = (FREE.contains(&of.func_name.as_str()), accumulates(&of));
    match replacement {
        Some((_, function)) if !accumulates => {
            of.func_name = (*function).to_owned();
            IdedExpr { id, expr: Expr::Call(of) }
        }
        Some(_) => IdedExpr { id, expr: Expr::Call(of) },
        None if is_free => IdedExpr { id, expr: Expr::Call(of) },
        None => call(TICK, IdedExpr { id, expr: Expr::Call(of) }),
    }
}

/// The step of a comprehension, on its accumulator, whose name no source can write.
fn accumulates(of: &CallExpr) -> bool {
    matches!(of.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@'))
}

fn weighed(element: IdedExpr) -> IdedExpr {
    match element.expr {
        Expr::Literal(_) => element,
        Expr::Unspecified
        | Expr::Ident(_)
        | Expr::Struct(_)
        | Expr::Select(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Comprehension(_)
        | Expr::Call(_) => call(WEIGH, rewrite(element)),
    }
}

fn call(function: &str, argument: IdedExpr) -> IdedExpr {
    let id = argument.id;
    let of = CallExpr { func_name: function.to_owned(), target: None, args: vec![argument] };
    IdedExpr { id, expr: Expr::Call(of) }
}
