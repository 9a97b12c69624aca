// Random functions of patches, and what they do by a plain implementation: each looks around first, and what it has seen counts as well.

import type { IndexPatch, IndexView, JsonPatchOperation } from '@pipeline/atomic'
import type { Random } from './random-index'

type Item = Record<string, unknown>

const record = (random: Random): unknown =>
  random.chance(10)
    ? random.of([7, null, 'x', [1], { slug: null }])
    : {
        slug: random.chance(80) ? `s${random.below(12)}` : random.below(6),
        kind: random.of(['a', 'b', 'ü"\ud800']),
        n: random.below(5),
        ...(random.chance(20) && { more: { list: [{ slug: 's1' }] } }),
      }

const list = (random: Random): unknown[] => Array.from({ length: random.below(25) }, () => record(random))

export const randomIndex = (random: Random): any =>
  random.chance(20)
    ? list(random)
    : { n: random.below(9), posts: list(random), 'a/b': { posts: list(random) }, empty: {}, '\udc00': [1, 2] }

const LISTS = ['/posts', '/a~1b/posts', '', '/n', '/none/x', '/posts/0/more/list']

/** What is in a value at a pointer. */
function at(value: any, pointer: string): any {
  const keys = pointer.split('/').slice(1)
  for (const key of keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key) || key === 'length')
      return undefined
    value = value[key]
  }
  return value
}

/** A plain view of a value. */
export const plainView = (index: unknown): IndexView => ({
  at: (pointer) => structuredClone(at(index, pointer)),
  count(pointer) {
    const value = at(index, pointer)
    return typeof value === 'object' && value !== null ? Object.keys(value).length : undefined
  },
  findAll(pointer, key, wanted) {
    const items = at(index, pointer)
    const all = Array.isArray(items) ? items.map((value, at) => ({ pointer: `${pointer}/${at}`, value })) : []
    return structuredClone(
      all.filter(
        ({ value }) =>
          typeof value === 'object' && value !== null && !Array.isArray(value) && value[key] === wanted,
      ),
    )
  },
})

/** What is looked at, and the patch that is made of it: both by the same numbers, however often it is called. */
export function randomChange(random: Random) {
  const looks = Array.from({ length: random.below(5) }, () => ({
    list: random.of(LISTS),
    key: random.of(['slug', 'slug', 'kind', 'n', '\ud800']),
    value: random.of<string | number>(['s1', 's2', 3, 'ü"\ud800', 'a', 1.5]),
    pointer: random.of(['', '/posts/3', '/posts/3/slug', '/\udc00/1', '/a~1b', '/empty', '/posts/-', '/n']),
  }))
  const shape = random.below(11)
  const [one, other, place] = [record(random), record(random), random.below(30)]
  return (view: IndexView, seen: unknown[]): IndexPatch | undefined => {
    for (const { list, key, value, pointer } of looks) {
      seen.push(view.findAll(list, key, value), view.at(pointer), view.count(pointer), view.count(list))
    }
    const root = view.count('/posts') === undefined ? '' : '/posts'
    const count = view.count(root) ?? 0
    const found = view.findAll(root, 'slug', 's1')
    seen.push(found)
    // What it was given is its own.
    for (const { value } of found) value.slug = 'changed'
    const within = `${root}/${place % (count + 1)}`
    const step = (op: any): JsonPatchOperation[] => [op]
    switch (shape) {
      case 0:
        return undefined
      case 1:
        return step({ op: 'add', path: within, value: one })
      case 2:
        return found.map(({ pointer }) => ({ op: 'replace', path: pointer, value: other }))
      case 3:
        return { remove: count > 0 ? [`${root}/${place % count}`] : [] }
      case 4:
        return { append: { [root === '' ? '/-' : root]: [one, other] } }
      case 5: {
        const key = (one as Item | null)?.slug ?? 'new'
        return {
          upsert: {
            at: root,
            key: 'slug',
            records: [{ slug: key, n: place }, { slug: 's3' }],
            remove: ['s2'],
          },
        }
      }
      case 6:
        return found[0] && { set: { [`${found[0].pointer}/slug`]: place } }
      case 7:
        return count > 1
          ? step({ op: 'move', from: `${root}/${place % count}`, path: `${root}/0` })
          : undefined
      case 8:
        return { increment: { [`${within}/n`]: 1 } }
      case 9:
        return { upsert: { at: root, key: 'kind', records: [{ kind: 'b', n: place }] } }
      default:
        throw Object.assign(new Error('no patch'), { code: 'NONE' })
    }
  }
}

const isRecord = (value: unknown): value is Item =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Not as `structuredClone` has it, which leaves two of the same as that. */
const copied = (value: unknown) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

/** A plain implementation of what such patches do; throws where one cannot be applied. */
export function plainlyPatched(before: unknown, made: IndexPatch | undefined): unknown {
  const patch = copied(made)
  const root = { '': copied(before) } as any
  const place = (pointer: string) => {
    const keys = ['', ...pointer.split('/').slice(1)]
    const key = keys.pop() as string
    const container = keys.reduce((value, key) => value?.[key], root)
    if (typeof container !== 'object' || container === null) throw new Error('nowhere')
    return { container, key }
  }
  const add = (pointer: string, value: unknown) => {
    const { container, key } = place(pointer)
    if (!Array.isArray(container)) container[key] = value
    else if (!(Number(key) <= container.length)) throw new Error('nowhere')
    else container.splice(Number(key), 0, value)
  }
  const take = (pointer: string) => {
    const { container, key } = place(pointer)
    if (!Object.hasOwn(container, key)) throw new Error('nowhere')
    const value = container[key]
    if (Array.isArray(container)) container.splice(Number(key), 1)
    else delete container[key]
    return value
  }
  if (Array.isArray(patch)) {
    for (const step of patch) {
      if (step.op === 'add') add(step.path, step.value)
      if (step.op === 'move') add(step.path, take(step.from))
      if (step.op === 'replace') place(step.path).container[place(step.path).key] = step.value
    }
    return copied(root[''])
  }
  const { remove = [], set = {}, upsert, increment = {}, append = {} } = (patch ?? {}) as any
  for (const pointer of remove) take(pointer)
  for (const [pointer, value] of Object.entries(set)) place(pointer).container[place(pointer).key] = value
  if (upsert) {
    const { container, key } = place(upsert.at)
    if (!Array.isArray(container[key])) throw new Error('no list')
    const { remove = [], key: name, records } = upsert
    const list = container[key].filter((item: unknown) => !(isRecord(item) && remove.includes(item[name])))
    for (const record of records) {
      const known = list.findIndex((item: unknown) => isRecord(item) && item[name] === record[name])
      if (known === -1) list.push(record)
      else list[known] = record
    }
    container[key] = list
  }
  for (const [pointer, by] of Object.entries(increment)) {
    const { container, key } = place(pointer)
    if (Array.isArray(container) || typeof (container[key] ?? 0) !== 'number') throw new Error('no number')
    container[key] = (container[key] ?? 0) + (by as number)
  }
  for (const [pointer, items] of Object.entries(append)) {
    const { container, key } = place(pointer)
    if (Array.isArray(container) && key === '-') throw new Error('nowhere')
    if (container[key] === undefined) container[key] = []
    container[key].push(...(items as unknown[]))
  }
  return copied(root[''])
}
