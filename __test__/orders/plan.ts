// What the clients are told to do: random, by a seed.

import type { Random } from '../helpers/random-index'

/** One call of a client (`client.cjs`). */
export interface Step {
  /** No two steps have the same one. */
  id: string
  call: string
  /** What it is about, by names in the folder; those that end with `.json` are indexes. */
  file: string
  files?: string[]
  /** By a path that leads through a link to the folder. */
  alias?: boolean
  /** What is written instead of the id. */
  value?: string
  /** Bytes, at least. */
  size?: number
  /** What the thread waits for before it: a turn of the event loop, its last call, all of its calls, or milliseconds. */
  pause?: 'turn' | 'last' | 'all' | number
  /** Milliseconds until it is aborted. */
  abort?: number
  options?: Record<string, unknown>
  /** Of an update: the function ends in another turn, or after so many milliseconds. */
  slow?: true | number
  /** Of a patch. */
  asFunction?: boolean
  /** Of a transaction. */
  byHand?: boolean
  patch?: boolean
  remove?: boolean
  read?: string
  /** Of updates under a lock. */
  ids?: string[]
  sync?: boolean
}

/** Which calls there are, each as often as it is listed. */
export interface Mix {
  files: readonly string[]
  indexes: readonly string[]
  /** Calls for files, for indexes, and for several of both. */
  ofFile: readonly string[]
  ofIndex: readonly string[]
  ofMany: readonly string[]
}

const READS = ['readIndex', 'readIndexSync', 'readIndexAt']
const LOCKED = ['update', 'update', 'patch', 'patch', 'session', ...READS]
const WRITES = ['write', 'write', 'write', 'writeSync', 'remove', 'writer', 'read', 'read']

/** What is done by the threads of one process: everything. */
export const THREADS: Mix = {
  files: ['a', 'b'],
  indexes: ['x.json'],
  ofFile: [...WRITES, 'writeSync'],
  ofIndex: [...LOCKED, 'write', 'writeSync', 'read', 'remove'],
  ofMany: ['batch'],
}

/** Calls that block, and those that they come before. */
export const BLOCKING: Mix = {
  files: ['a', 'b'],
  indexes: ['x.json'],
  ofFile: ['write', 'write', 'writeSync', 'writeSync'],
  ofIndex: ['write', 'writeSync', 'update', 'patch', 'session'],
  ofMany: [],
}

/** What threads do, and transactions of theirs. Calls that block do not wait for these. */
export const TOGETHER: Mix = {
  ...THREADS,
  ofFile: WRITES.filter((call) => call !== 'writeSync'),
  ofIndex: [...LOCKED, 'write', 'read', 'remove'],
  ofMany: ['batch', 'transaction', 'transaction', 'snapshot'],
}

/** Indexes are written by calls that take their lock only: a write of another process may come in the instant between the last look and the rename. */
export const PROCESSES: Mix = {
  files: ['a', 'b'],
  indexes: ['x.json', 'y.json'],
  ofFile: WRITES,
  ofIndex: [...LOCKED, 'read'],
  ofMany: ['batch', 'transaction'],
}

/** What finds its folder replaced, and goes on in the new one. */
export const REPLACED: Mix = {
  ...PROCESSES,
  ofFile: ['write', 'write', 'writeSync', 'remove', 'writer', 'read'],
  ofIndex: ['update', 'patch', 'readIndex', 'readIndexAt', 'read'],
  ofMany: ['batch'],
}

/** Nothing but transactions, updates and what reads them as of one moment. */
export const TRANSACTIONS: Mix = {
  files: ['a', 'b'],
  indexes: ['x.json', 'y.json'],
  ofFile: ['read'],
  ofIndex: ['update', 'patch', 'readIndex'],
  ofMany: ['transaction', 'transaction', 'transaction', 'snapshot', 'snapshot'],
}

/** One in `times`. */
export function rarely(random: Random, times: number): boolean {
  return random.below(times) === 0
}

/** Calls that can be aborted. */
const ABORTABLE = ['write', 'remove', 'writer', 'batch', 'transaction', 'update', 'patch', 'session']

function step(random: Random, mix: Mix, id: string, values: string[]): Step {
  const { files: plain, indexes } = mix
  const all = [...plain, ...indexes]
  const subjects: [readonly string[], readonly string[]][] = [
    [mix.ofFile, plain],
    [mix.ofFile, plain],
    [mix.ofIndex, indexes],
    [mix.ofIndex, indexes],
    [mix.ofMany, all],
  ]
  const [kinds, files] = random.of(subjects.filter(([kinds]) => kinds.length > 0))
  const call = random.of(kinds)
  const made: Step = { id, call, file: random.of(files) }
  if (rarely(random, 3)) made.alias = true
  const options: Record<string, unknown> = { flush: rarely(random, 4) }
  if (rarely(random, 6)) made.size = random.of([5_000, 60_000, 700_000])
  if (call === 'batch' || call === 'transaction' || call === 'snapshot') {
    made.files = (call === 'batch' ? [...mix.files] : [...files]).filter(() => rarely(random, 2))
    if (made.files.length === 0) made.files = [random.of(mix.files)]
    made.file = made.files[0] as string
  }
  if (call === 'transaction') {
    made.byHand = rarely(random, 6)
    made.patch = rarely(random, 2)
    made.remove = rarely(random, 5)
    const others = mix.files.filter((file) => !made.files?.includes(file))
    if (!made.byHand && others.length > 0 && rarely(random, 3)) made.read = random.of(others)
  }
  if (call === 'write' && rarely(random, 5)) options.flag = 'wx'
  else if (['write', 'writeSync', 'batch', 'writer'].includes(call) && rarely(random, 5)) {
    options.ifChanged = true
    if (rarely(random, 2) && values.length > 0) made.value = random.of(values)
    delete made.size
  }
  if (call === 'update' && rarely(random, 3)) made.slow = random.of([true, true, 3])
  if (call === 'update' && rarely(random, 4)) options.keep = 'value'
  if (call === 'patch' && rarely(random, 4)) made.asFunction = true
  if ((call === 'update' || call === 'patch') && rarely(random, 8)) options.timeout = random.of([0, 1, 5])
  if (call === 'session') {
    made.ids = Array.from({ length: 1 + random.below(3) }, (_, i) => `${id}.${i}`)
    if (rarely(random, 3)) made.slow = true
    made.sync = rarely(random, 4)
    delete options.flush
  }
  if (call === 'readIndex' || call === 'readIndexSync' || call === 'readIndexAt') delete options.flush
  if (ABORTABLE.includes(call) && rarely(random, 10)) made.abort = random.below(3)
  if (['write', 'writeSync'].includes(call) && made.size === undefined) values.push(made.value ?? id)
  made.options = options
  const pause = random.below(12)
  if (pause === 0) made.pause = 'turn'
  if (pause === 1) made.pause = 'last'
  if (pause === 2) made.pause = 'all'
  if (pause === 3) made.pause = random.below(3)
  return made
}

/** For one thread. */
export function plan(random: Random, mix: Mix, name: string, calls: number): Step[] {
  const values: string[] = []
  return Array.from({ length: calls }, (_, i) => step(random, mix, `${name}-${i}`, values))
}
