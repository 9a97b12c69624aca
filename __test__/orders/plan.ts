// What the clients are told to do: random, by a seed.

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

export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** One in `times`. */
  rarely(times: number): boolean {
    return this.next() * times < 1
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }
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
  if (random.rarely(3)) made.alias = true
  const options: Record<string, unknown> = { flush: random.rarely(4) }
  if (random.rarely(6)) made.size = random.of([5_000, 60_000, 700_000])
  if (call === 'batch' || call === 'transaction' || call === 'snapshot') {
    made.files = (call === 'batch' ? [...mix.files] : [...files]).filter(() => random.rarely(2))
    if (made.files.length === 0) made.files = [random.of(mix.files)]
    made.file = made.files[0] as string
  }
  if (call === 'transaction') {
    made.byHand = random.rarely(6)
    made.patch = random.rarely(2)
    made.remove = random.rarely(5)
    const others = mix.files.filter((file) => !made.files?.includes(file))
    if (!made.byHand && others.length > 0 && random.rarely(3)) made.read = random.of(others)
  }
  if (call === 'write' && random.rarely(5)) options.flag = 'wx'
  else if (['write', 'writeSync', 'batch', 'writer'].includes(call) && random.rarely(5)) {
    options.ifChanged = true
    if (random.rarely(2) && values.length > 0) made.value = random.of(values)
    delete made.size
  }
  if (call === 'update' && random.rarely(3)) made.slow = random.of([true, true, 3])
  if (call === 'update' && random.rarely(4)) options.keep = 'value'
  if (call === 'patch' && random.rarely(4)) made.asFunction = true
  if ((call === 'update' || call === 'patch') && random.rarely(8)) options.timeout = random.of([0, 1, 5])
  if (call === 'session') {
    made.ids = Array.from({ length: 1 + random.below(3) }, (_, i) => `${id}.${i}`)
    if (random.rarely(3)) made.slow = true
    made.sync = random.rarely(4)
    delete options.flush
  }
  if (call === 'readIndex' || call === 'readIndexSync' || call === 'readIndexAt') delete options.flush
  if (ABORTABLE.includes(call) && random.rarely(10)) made.abort = random.below(3)
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
