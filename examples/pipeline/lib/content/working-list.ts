/**
 * Lists in an index that publishes change in place. Of many that are committed together, each gets what the one before has made, and a
 * copy of thousands of records for each would take most of the time of all.
 *
 * The rule for all updates of indexes: a function changes no list but one that was made here for this commit, so nothing that a caller
 * or a cache holds. A list from anywhere else is copied first. What is made here goes to the functions of the same commit only, and one that
 * runs again gets the index anew.
 */

const working = new WeakSet<readonly unknown[]>()

export function isWorking(list: readonly unknown[]): boolean {
  // The addon freezes what it keeps.
  return working.has(list) && !Object.isFrozen(list)
}

/** The list if it was made here, else a copy of it. */
export function workingList<T>(list: readonly T[]): T[] {
  if (isWorking(list)) return list as T[]
  // (A method of a frozen array takes 30 times as long.)
  const copy = [...list]
  working.add(copy)
  return copy
}
