//! Files that transactions move, while a program without this library replaces or removes them.

use super::check::{Check, Checked, Order};
use super::history::{Move, Operation};
use crate::report::problem::Harm::{Lost, Torn};

/// A moved file has one of its two names, and it has the new one if the transaction is there. What somebody has written in its place
/// is under the old name, or was moved.
pub fn check(check: &Check<'_>, order: &Order, recovered: bool) -> Checked {
    check.moves().try_for_each(|(id, moved)| one(check, *id, moved, order.contains_key(id), recovered))
}

fn one(check: &Check<'_>, id: u64, Move { from, to }: &Move, there: bool, recovered: bool) -> Checked {
    let operation = &check.history.operations[&id];
    let acknowledged = check.is_acknowledged(operation);
    let writers: Vec<(u64, &Operation)> = check
        .started()
        .filter(|(_, one)| one.what.writes.contains(from))
        .map(|(id, one)| (*id, one))
        .collect();
    let read = |path: &String| -> Checked<(Option<u64>, bool)> {
        let Some(bytes) = check.content(path)? else { return Ok((None, false)) };
        let by = check.history.writer_of(&bytes);
        let version = writers.iter().map(|(id, _)| *id).find(|id| Some(*id) == by);
        Ok((version, version.is_none()))
    };
    let ((old, _), (new, is_other)) = (read(from)?, read(to)?);
    let before = check.started().find(|(_, one)| one.what.writes.contains(to));
    if is_other && check.content(to)? != before.map(|(id, _)| check.history.content(*id)) {
        return Err(Torn.problem(format!("{to} is neither what was moved to it nor what it was")));
    }
    if new.is_none() && !is_other && before.is_some_and(|(_, one)| check.is_acknowledged(one)) {
        return Err(Lost.problem(format!("{to} is absent")));
    }
    if new.is_some() && recovered && !there {
        return Err(Torn.problem(format!("{to} was moved by operation {id}, which is in no index")));
    }
    if there && (recovered || acknowledged) {
        if new.is_none() {
            return Err(Torn.problem(format!("operation {id} is there, and {to} is what it was")));
        }
        if new == old {
            return Err(Torn.problem(format!("operation {id} is there, and {from} is there still")));
        }
    }
    for (writer, written) in writers.iter().filter(|(_, one)| check.is_acknowledged(one)) {
        let follows = |(_, later): &&(u64, &Operation)| written.done.is_some_and(|done| done < later.started);
        let counts = |id: &u64| [old, new].contains(&Some(*id));
        let is_kept = counts(writer) || writers.iter().filter(follows).any(|(id, _)| counts(id));
        // It may have been taken away a moment before the cut: recovery brings it back.
        let is_away = !recovered && !acknowledged && written.done.is_none_or(|done| done > operation.started);
        if !is_kept && !is_away {
            return Err(
                Lost.problem(format!("operation {writer} was acknowledged, and is neither {from} nor {to}"))
            );
        }
    }
    Ok(())
}
