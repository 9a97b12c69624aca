// Random indexes and random functions of them, the same for the same seed.

export class Random {
  #state: number

  /** `strange`: what it makes is not only what JSON.parse makes. */
  constructor(
    seed: number,
    readonly strange = false,
  ) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1)
  }

  /** From 0 to below `end`. */
  below(end: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end)
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }
}

const names = [
  'a',
  'b',
  'title',
  '0',
  '7',
  '12',
  '-1',
  '01',
  '',
  'ä/b',
  '~',
  '~1',
  '"q"',
  '😀',
  '\u0000',
  'toJSON ',
]
const odd = ['__proto__', '\ud800', '\ufffd', 'constructor', 'length']

export const name = (random: Random) => (random.chance(4) ? random.of(odd) : random.of(names))

const leaves = [
  0,
  1,
  -3,
  1.5,
  1e21,
  1e-7,
  true,
  false,
  null,
  '',
  'text',
  '{}',
  'ü/~"\\\n\u2028',
  '\ud800',
  '😀',
]

/** As JSON.parse makes it. */
export function value(random: Random, depth = 3): any {
  const kind = depth > 0 ? random.below(5) : 4
  const length = random.chance(5) ? 40 : random.below(5)
  if (kind < 2) return Array.from({ length }, () => value(random, depth - 1))
  if (kind < 4) return object(Array.from({ length }, () => [name(random), value(random, depth - 1)]))
  return random.of(leaves)
}

/** With an own member `__proto__`, as JSON.parse makes it. */
const object = (members: [string, unknown][]) => Object.fromEntries(members)

class Post {
  constructor(public title: unknown) {}
}

/** What JSON.stringify makes something else of. */
function strange(random: Random): unknown {
  const inner = value(random, 1)
  return random.of<() => unknown>([
    () => undefined,
    () => -0,
    () => Number.NaN,
    () => Number.POSITIVE_INFINITY,
    () => new Date(random.below(1e9)),
    () => () => inner,
    () => Symbol('no'),
    () => ({ toJSON: (key: string) => ({ key, inner }) }),
    () => ({ toJSON: () => undefined }),
    () => Object.assign(() => {}, { toJSON: () => inner }),
    () => new Post(inner),
    () => Object.assign(new Array(2), { extra: inner }),
    () => Object.assign(Object.create(null), { inner }),
    () => Object.defineProperty({ seen: 1 }, 'hidden', { value: inner }),
    () => ({
      get computed() {
        return inner
      },
    }),
    () => new Proxy({ inner }, {}),
    () => new Proxy([inner, 1], {}),
    () => Object(inner),
    () => new (class extends Array {})(3),
    () => ({ [Symbol('key')]: 1, inner, nothing: undefined }),
    () => (JSON as any).rawJSON?.(random.of(['1.0', '1e2', '"\\u0061"', '1161888007138312192', 'true'])) ?? 1,
  ])()
}

const fresh = (random: Random) => (random.strange && random.chance(25) ? strange(random) : value(random, 2))

const isContainer = (value: any) =>
  typeof value === 'object' && value !== null && !(JSON as any).isRawJSON?.(value)

/** Changes something in it, in place or, if it is frozen, in a new one that shares what is not changed. */
export function change(index: any, random: Random): any {
  if (!isContainer(index)) return fresh(random)
  if (random.chance(3)) return structuredCloneOf(index)
  const next = Array.isArray(index) ? [...index] : object(Object.entries(index))
  const times = random.chance(80) ? 1 : random.below(4)
  for (let time = 0; time < times; time++) changeOne(next, random)
  return Array.isArray(next) && random.chance(3) ? next.reverse() : next
}

function structuredCloneOf(index: any): any {
  return JSON.parse(JSON.stringify(index))
}

function changeOne(next: any, random: Random): void {
  if (Array.isArray(next)) {
    const at = random.below(next.length + 1)
    random.of([
      () => next.push(fresh(random)),
      () => next.splice(at, random.below(3)),
      () => next.splice(at, 0, fresh(random), fresh(random)),
      () => next.splice(at, 2, fresh(random)),
      () => next.unshift(fresh(random)),
      () => next.splice(0, next.length, ...next.filter(() => random.chance(70))),
      () =>
        next.splice(0, next.length, ...next.map((item) => (random.chance(30) ? change(item, random) : item))),
      () => at < next.length && next.push(next[at]),
      () => at < next.length && next.splice(at, 1, change(next[at], random)),
      () => at < next.length && next.splice(at, 1, change(next[at], random)),
      () => at < next.length && next.push(...next.splice(at, 1)),
    ])()
    return
  }
  const keys = Object.keys(next)
  const key = random.of([...keys, name(random)])
  const put = (key: string, value: unknown) =>
    Object.defineProperty(next, key, { value, enumerable: true, configurable: true, writable: true })
  random.of([
    () => put(name(random), fresh(random)),
    () => delete next[key],
    () => put(key, Object.hasOwn(next, key) ? change(next[key], random) : fresh(random)),
    () => put(key, Object.hasOwn(next, key) ? change(next[key], random) : fresh(random)),
    () => put(key, fresh(random)),
    () => {
      if (!Object.hasOwn(next, key)) return
      const { [key]: moved, ...rest } = next
      for (const key of keys) delete next[key]
      for (const [key, value] of Object.entries(rest)) put(key, value)
      put(key, moved)
    },
  ])()
}

/** The text of an index, laid out in one way or another. */
export function layOut(index: unknown, random: Random): string {
  const space = random.of<number | string>([0, 1, 2, 4, '\t', ' \t', 10])
  const lines = JSON.stringify(index, null, space).split('\n')
  const [indent, end] = [
    random.of(['same', 'same', 'same', 'none', 'long']),
    random.of(['\n', '\n', '\r\n', '\r']),
  ]
  const laid = lines.map((line) => {
    const white = /^\s*/.exec(line)?.[0] ?? ''
    return (indent === 'same' ? white : indent === 'none' ? '' : white.repeat(7)) + line.slice(white.length)
  })
  return random.of(['', '', '\ufeff', '\n', ' ']) + laid.join(end) + random.of(['', '\n', '\r\n', ' \n\n'])
}
