// From what the clients have noted to calls with effects, and what the documentation promises of their order.

import type { Call, Effect } from './linearize'
import { type Content, isIndex, type Noted } from './notes'
import type { Step } from './plan'

export interface Made {
  process: number
  thread: number
  step: Step
  noted: Noted
}

const added = (before: Content, id: string) => (before ? `${before} ${id}` : id)
const puts =
  (content: Content): Effect =>
  () =>
    content
/** Only on what the call has seen, if that is known. */
const on = (saw: Content | undefined, next: (before: Content) => Content): Effect => {
  return (before) => (saw === undefined || before === saw ? next(before) : undefined)
}

/** Where a call was made for a lock that its own program holds: it is refused, or not to be waited for. */
const HELD = 'ERR_ATOMIC_REENTRANT'

/** What rejects a call that has done nothing, if there is a reason for it: a deadlock may end by a timeout, too. */
function isHarmless({ step }: Made, code: string, killed: boolean): boolean {
  switch (code) {
    case HELD:
      return step.call === 'writeSync'
    case 'ABORT_ERR':
      return step.abort !== undefined
    case 'ERR_ATOMIC_LOCK_TIMEOUT':
      return step.options?.timeout !== undefined || step.sync === true || killed
    case 'ERR_ATOMIC_CHANGED':
      return step.call === 'batch' && step.options?.ifChanged === true
    case 'ERR_ATOMIC_CONFLICT':
      return step.call === 'transaction'
    default:
      return false
  }
}

function failed(made: Made, killed: boolean): 'harmless' | 'exists' | 'unknown' | 'unexpected' {
  const { step, noted } = made
  const { code = '', committed } = noted.error as NonNullable<Noted['error']>
  if (committed) return 'unknown'
  if (code === 'EEXIST' && step.options?.flag === 'wx') return 'exists'
  return isHarmless(made, code, killed) ? 'harmless' : 'unexpected'
}

function effectsOf({ step, noted }: Made): [string, Effect][] {
  const { file, value = step.id } = step
  const { saw, sawEach = {} } = noted
  switch (step.call) {
    case 'write':
    case 'writeSync':
    case 'writer': {
      if (noted.error && noted.error.code === 'EEXIST') return [[file, (before) => before ?? undefined]]
      const exclusive = step.options?.flag === 'wx'
      if (noted.written === false) return [[file, on(value, () => value)]]
      return [[file, (before) => (exclusive && before !== null ? undefined : value)]]
    }
    case 'remove':
      return [
        [
          file,
          (before) => (noted.removed !== undefined && (before !== null) !== noted.removed ? undefined : null),
        ],
      ]
    case 'batch':
      return (step.files as string[]).map((file) => [file, puts(value)])
    case 'transaction': {
      const changes = (step.files as string[]).map((file): [string, Effect] => {
        if (isIndex(file)) return [file, on(sawEach[file], (before) => added(before, step.id))]
        return [file, puts(step.remove ? null : value)]
      })
      const { read } = step
      return read && noted.end !== undefined
        ? [...changes, [read, on(sawEach[read], (before) => before)]]
        : changes
    }
    case 'snapshot':
      return Object.entries(sawEach).map(([file, content]) => [file, on(content, () => content)])
    case 'update':
    case 'patch':
      return [[file, on(saw, (before) => added(before, step.id))]]
    default:
      return [[file, on(saw, () => saw as Content)]]
  }
}

/**
 * Whether `earlier`, which was made before, also takes effect before. "Writes to one file run in the order of the calls, so the last call wins. This
 * holds … for all worker threads of the process" (`atomicWrite`). What is not promised:
 * - "The place of a batch in the order of writes is where its last entry is staged" (design), and reads wait for nothing.
 * - A call that blocks "comes before all that have not begun to write", but for an `atomicWrite` without `'wx'` (`atomicWriteSync`).
 * - "A write with `flag: 'wx'` looks at the name before its turn" (`remove`): one that is refused.
 * - "Between threads that wait for each other within one turn of the event loop, patches in one go count as called at its end" (design).
 * - Transactions are in order among themselves if they are of one thread.
 */
function isOrdered(earlier: Made, later: Made): boolean {
  if (earlier.step.file !== later.step.file) return false
  if (earlier.process !== later.process || (earlier.noted.called ?? Infinity) >= (later.noted.call ?? 0))
    return false
  if (earlier.noted.error || later.noted.error) return false
  const queued = ['write', 'remove', 'update', 'patch', 'writer', 'session']
  const blocks = ({ step }: Made) => step.call === 'writeSync' || step.sync
  if (!queued.includes(earlier.step.call) || blocks(earlier)) return false
  if (earlier.step.call === 'patch' && earlier.thread !== later.thread) return false
  if (later.step.call === 'writeSync') {
    return earlier.step.call === 'write' && earlier.step.options?.flag !== 'wx'
  }
  return queued.includes(later.step.call) && !blocks(later)
}

/** An `atomicWrite` that was not carried out, as a call that blocks has come before it: as if it had been replaced at once. */
function isOvertaken(write: Made, all: readonly Made[]): boolean {
  if (write.step.call !== 'write' || write.noted.written !== false) return false
  return all.some(
    ({ process, step, noted }) =>
      process === write.process &&
      step.call === 'writeSync' &&
      step.file === write.step.file &&
      !noted.error &&
      (noted.called ?? Infinity) > (write.noted.call ?? 0) &&
      noted.start < (write.noted.end ?? Infinity),
  )
}

const READS = ['read', 'snapshot', 'readIndex', 'readIndexSync', 'readIndexAt']

/** What the call may have done in a folder that was replaced then. */
function inOldFolder({ made, call }: { made: Made; call: Call }): Call {
  const { id, start } = made.noted
  const effects = new Map(effectsOf({ ...made, noted: { id, start } }))
  return { ...call, name: `${call.name} in the old folder`, mayBeMissing: true, effects }
}

/**
 * The calls that have, or may have, done or seen something, and what is wrong already. If the folder was `replaced` meanwhile, "a later call of the
 * same process that found the new one at once may be overwritten" by one that takes its bytes there; "an update starts over there" (design), so
 * what it had done in the old folder may have been seen; and calls that cannot go on are `ENOENT`.
 * If a process was `killed`, the others may have waited for it.
 */
export function history(
  made: readonly Made[],
  { replaced, killed = false }: { replaced?: Call; killed?: boolean } = {},
): { calls: Call[]; wrong: string[] } {
  const wrong: string[] = []
  const calls: { made: Made; call: Call; after: Call[] }[] = []
  for (const one of made) {
    const { step, noted } = one
    const ended = noted.end !== undefined
    const outcome =
      noted.error && (replaced && noted.error.code === 'ENOENT' ? 'unknown' : failed(one, killed))
    if (outcome === 'harmless') continue
    if (outcome === 'unexpected') {
      wrong.push(`${step.call} of ${step.file} (${step.id}): ${noted.error?.stack}`)
      continue
    }
    if (isOvertaken(one, made)) continue
    if (step.call === 'write' && noted.written === false && !step.options?.ifChanged) {
      wrong.push(`${step.id} was not written, and nothing has come before it`)
    }
    const times = {
      start: noted.call ?? noted.start,
      end: noted.end ?? Infinity,
      mayBeMissing: !ended || outcome === 'unknown',
    }
    if (outcome === 'exists') times.start = noted.start
    const name = `${step.call} ${step.id}`
    if (step.call === 'session') {
      const { sawAll = [] } = noted
      const inner: Call[] = []
      for (const [i, id] of (step.ids ?? []).entries()) {
        const effect = on(sawAll[i], (before) => added(before, id))
        if (
          i > 0 &&
          sawAll[i] !== undefined &&
          sawAll[i] !== added(sawAll[i - 1] ?? null, step.ids?.[i - 1] ?? '')
        ) {
          wrong.push(`${id} found under its lock what the update before it had not left: ${sawAll[i]}`)
        }
        const after = inner.slice(-1)
        const call = { name: `${step.call} ${id}`, ...times, effects: new Map([[step.file, effect]]), after }
        inner.push(call)
        calls.push({ made: one, call, after })
      }
      continue
    }
    if (!ended && READS.includes(step.call)) continue
    const after: Call[] = []
    calls.push({ made: one, call: { name, ...times, effects: new Map(effectsOf(one)), after }, after })
  }
  if (replaced) {
    // Only of what was seen: the search takes much longer for calls that explain nothing.
    const seen = JSON.stringify(made.map(({ noted }) => [noted.saw, noted.sawAll, noted.sawEach]))
    const changes = calls.filter(({ made }) => !READS.includes(made.step.call))
    const inOld = changes
      .filter(({ made: { step } }) => seen.includes(step.value ?? step.id))
      .map(inOldFolder)
    const again = { ...replaced, after: inOld }
    return { calls: [...calls.map(({ call }) => call), ...inOld, again], wrong }
  }
  for (const later of calls) {
    for (const earlier of calls) if (isOrdered(earlier.made, later.made)) later.after.push(earlier.call)
  }
  return { calls: calls.map(({ call }) => call), wrong }
}
