// Whether there is an order of calls that explains all that they have seen (Wing & Gong, with a memo, as Lowe has it).

import type { Content } from './notes'

/** What a call did to a file, or has seen of it: what the file says after it, or `undefined` if the call cannot have met `before`. */
export type Effect = (before: Content) => Content | undefined

/** One call, as an observer has it. Times are those of one clock. */
export interface Call {
  /** For a report. */
  name: string
  start: number
  /** `Infinity` if it is not known that the call has ended. */
  end: number
  /** It may have happened, or not. */
  mayBeMissing: boolean
  /** By file. */
  effects: ReadonlyMap<string, Effect>
  /** What takes effect before it, though it had not ended when this call began. */
  after: readonly Call[]
}

/** There are too many orders to try: with each call that runs beside others their number is multiplied. */
export class TooManyOrders extends Error {}

/** So many states are looked at, which takes about a second. */
const MOST_STATES = 100_000

type State = ReadonlyMap<string, Content>

/** What the calls of `history` did to `file` alone. */
export function projected(history: readonly Call[], file: string): Call[] {
  return history.filter(({ effects }) => effects.has(file))
}

function apply(state: State, effects: ReadonlyMap<string, Effect>): State | undefined {
  const next = new Map(state)
  for (const [file, effect] of effects) {
    const before = state.get(file)
    if (before === undefined) continue
    const content = effect(before)
    if (content === undefined) return undefined
    next.set(file, content)
  }
  return next
}

const equal = (one: State, other: State) => [...one].every(([file, content]) => other.get(file) === content)

/**
 * An order of the calls that agrees with their times, leads from `first` to `last`, and in which each can have met what it has met;
 * `undefined` if there is none. Files that are not in `first` are left out.
 *
 * @throws {@link TooManyOrders}
 */
export function linearized(calls: readonly Call[], first: State, last: State): Call[] | undefined {
  const at = new Map(calls.map((call, i) => [call, i]))
  const bit = (i: number) => 1n << BigInt(i)
  const before = calls.map((call) => {
    const earlier = calls.filter(({ end }) => end < call.start)
    return [...earlier, ...call.after].reduce((mask, other) => {
      const i = at.get(other)
      return i === undefined ? mask : mask | bit(i)
    }, 0n)
  })
  // One that may be missing does not keep others waiting; but once these are done it has not happened.
  const behind = calls.map((_, i) =>
    before.reduce((mask, needs, other) => ((needs & bit(i)) === 0n ? mask : mask | bit(other)), 0n),
  )
  const required = calls.reduce((mask, call, i) => (call.mayBeMissing ? mask : mask | bit(i)), 0n)
  const seen = new Set<string>()
  const order: Call[] = []

  function search(done: bigint, state: State): boolean {
    if ((done & required) === required && equal(state, last)) return true
    const known = `${done} ${JSON.stringify([...state.values()])}`
    if (seen.has(known)) return false
    if (seen.size >= MOST_STATES) throw new TooManyOrders()
    seen.add(known)
    for (const [i, call] of calls.entries()) {
      const needs = before[i] as bigint
      if ((done & bit(i)) !== 0n || (needs & required & ~done) !== 0n) continue
      if ((done & (behind[i] as bigint)) !== 0n) continue
      const next = apply(state, call.effects)
      if (next === undefined) continue
      order.push(call)
      if (search(done | bit(i), next)) return true
      order.pop()
    }
    return false
  }

  return search(0n, first) ? order : undefined
}
