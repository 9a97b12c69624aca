// The checker finds what it is to find.

import { describe, expect, test } from 'vitest'
import { history, type Made } from './history'
import { type Call, type Effect, linearized, TooManyOrders } from './linearize'
import type { Content, Noted } from './notes'
import type { Step } from './plan'

const put =
  (content: Content): Effect =>
  () =>
    content
const sees =
  (content: Content): Effect =>
  (before) =>
    before === content ? before : undefined

function call(name: string, start: number, end: number, effect: Effect, more: Partial<Call> = {}): Call {
  return { name, start, end, mayBeMissing: false, effects: new Map([['a', effect]]), after: [], ...more }
}

/** The order that was found, by names. */
function order(calls: Call[], first: Content, last: Content): string | undefined {
  const found = linearized(calls, new Map([['a', first]]), new Map([['a', last]]))
  return found?.map(({ name }) => name).join(' ')
}

describe('an order of calls', () => {
  test('agrees with their times, whatever order they are noted in', () => {
    const calls = [call('late', 3, 4, put('late')), call('early', 1, 2, put('early'))]
    expect(order(calls, null, 'late')).toBe('early late')
    expect(order(calls, null, 'early')).toBeUndefined()
  })

  test('of calls at one time is the one that explains what was seen', () => {
    const [one, two] = [call('one', 1, 9, put('1')), call('two', 1, 9, put('2'))]
    const reads = [call('r1', 2, 3, sees('2')), call('r2', 4, 5, sees('1'))]
    expect(order([one, two, ...reads], null, '1')).toBe('two r1 one r2')
    expect(order([one, two, ...reads], null, '2')).toBeUndefined()
  })

  test('has no value that comes back, and no read of one that was replaced before', () => {
    const [one, two] = [call('one', 1, 2, put('1')), call('two', 3, 4, put('2'))]
    expect(order([one, two, call('read', 5, 6, sees('1'))], null, '2')).toBeUndefined()
    expect(order([one, two, call('read', 3.5, 6, sees('1'))], null, '2')).toBe('one read two')
  })

  test('has no update that is lost', () => {
    const add =
      (id: string, saw: string): Effect =>
      (before) =>
        before === saw ? `${saw}${id}` : undefined
    expect(order([call('x', 1, 9, add('x', '')), call('y', 1, 9, add('y', 'x'))], '', 'xy')).toBe('x y')
    expect(order([call('x', 1, 9, add('x', '')), call('y', 1, 9, add('y', ''))], '', 'y')).toBeUndefined()
  })

  test('holds where calls at one time are in an order by themselves', () => {
    const first = call('first', 1, 9, put('1'))
    const second = call('second', 2, 9, put('2'), { after: [first] })
    expect(order([second, first], null, '2')).toBe('first second')
    expect(order([second, first], null, '1')).toBeUndefined()
  })

  test('has or has not what may be missing, but not too late', () => {
    const killed = call('killed', 1, Infinity, put('1'), { mayBeMissing: true })
    const other = call('other', 3, 4, put('2'), { after: [killed] })
    expect(order([killed], null, null)).toBe('')
    expect(order([killed], null, '1')).toBe('killed')
    expect(order([killed, other], null, '2')).toBeDefined()
    expect(order([killed, other], null, '1')).toBeUndefined()
    const first = call('first', 3, 4, (before) => (before === null ? '2' : undefined), { after: [killed] })
    expect(order([killed, first], null, '2')).toBe('first')
  })

  test('is one for several files together, if they are looked at so', () => {
    const both = new Map([
      ['a', put('1')],
      ['b', put('1')],
    ])
    const half = new Map([
      ['a', sees('1')],
      ['b', sees(null)],
    ])
    const calls = [
      call('both', 1, 9, put(''), { effects: both }),
      call('half', 1, 9, put(''), { effects: half }),
    ]
    const state = (content: Content) =>
      new Map([
        ['a', content],
        ['b', content],
      ])
    expect(linearized(calls, state(null), state('1'))).toBeUndefined()
    expect(linearized([calls[0] as Call], state(null), state('1'))).toHaveLength(1)
  })
})

test('is not looked for among too many', () => {
  // Few enough for the search to end in time without its limit, too.
  const calls = Array.from({ length: 15 }, (_, i) => call(`${i}`, 1, 9, put(`${i}`)))
  expect(() => order(calls, null, 'of nobody')).toThrow(TooManyOrders)
  expect(order(calls, null, '14')).toBeDefined()
})

describe('what clients have noted', () => {
  const made = (
    name: string,
    times: [number, number, number],
    more: Partial<Noted> = {},
    thread = 0,
  ): Made => {
    const [start, called, end] = times
    const noted = { id: name, start, call: start, called, end, written: true, ...more }
    return { process: 0, thread, step: { id: name, call: name.split('-')[0] as string, file: 'a' }, noted }
  }
  const explained = (all: Made[], last: Content) => order(history(all).calls, null, last)

  test('a call that blocks comes after the writes that were called before, in all threads', () => {
    const all = [made('write-1', [1, 2, 9]), made('writeSync-2', [3, 4, 4], {}, 1)]
    expect(explained(all, 'writeSync-2')).toBe('write write-1 writeSync writeSync-2')
    expect(explained(all, 'write-1')).toBeUndefined()
    const removal = [made('remove-1', [1, 2, 9], { removed: true }), made('writeSync-2', [3, 4, 4])]
    expect(explained([made('write-0', [0, 0, 0.5]), ...removal], null)).toBeDefined()
  })

  test('a write that was overtaken was never there, and needs a call that has come before it', () => {
    const overtaken = made('write-1', [1, 2, 9], { written: false })
    expect(history([overtaken, made('writeSync-2', [3, 4, 4])])).toMatchObject({ calls: [{}], wrong: [] })
    expect(history([overtaken]).wrong).toHaveLength(1)
  })

  test('what has overtaken a write is a blocking call of its file and process, after it, not too late, that was carried out', () => {
    const overtaken = made('write-1', [1, 2, 9], { written: false })
    const sync = made('writeSync-2', [3, 4, 4])
    const error = {
      name: 'Error',
      code: 'ERR_ATOMIC_REENTRANT',
      message: '',
      committed: false,
      stack: undefined,
    }
    const others: Made[] = [
      { ...sync, process: 1 },
      { ...sync, step: { ...sync.step, file: 'b' } },
      made('writeSync-2', [3, 4, 4], { error }),
      made('writeSync-0', [0, 0.5, 0.5]),
      made('writeSync-2', [10, 11, 11]),
      made('write-2', [3, 4, 4]),
    ]
    for (const other of others) expect(history([overtaken, other]).wrong).toHaveLength(1)
  })

  test('writes of one process are in the order of their calls, and those of two in any', () => {
    const [first, second] = [made('write-1', [1, 2, 9]), made('write-2', [3, 4, 9])]
    expect(explained([first, second], 'write-1')).toBeUndefined()
    expect(explained([first, { ...second, process: 1 }], 'write-1')).toBeDefined()
  })

  test('an exclusive write has met no file, one that was refused has met one, and a removal says which', () => {
    const first = made('write-1', [1, 2, 3])
    const exclusive = (more: Partial<Noted>): Made => {
      const one = made('write-2', [5, 6, 7], more)
      return { ...one, step: { ...one.step, options: { flag: 'wx' } } }
    }
    const error = { name: 'Error', code: 'EEXIST', message: '', committed: false, stack: undefined }
    expect(explained([exclusive({})], 'write-2')).toBeDefined()
    expect(explained([first, exclusive({})], 'write-2')).toBeUndefined()
    expect(explained([first, exclusive({ error })], 'write-1')).toBeDefined()
    expect(explained([exclusive({ error })], null)).toBeUndefined()
    expect(history([made('write-2', [5, 6, 7], { error })]).wrong).toHaveLength(1)
    const removal = (removed: boolean) => made('remove-2', [5, 6, 7], { removed })
    expect([true, false].map((removed) => explained([first, removal(removed)], null))).toStrictEqual([
      'write write-1 remove remove-2',
      undefined,
    ])
  })

  test('a call is given up for a reason only: its signal, its timeout, a kill, a change', () => {
    const rejected = (call: string, code: string, step: Partial<Step> = {}, killed = false) => {
      const error = { name: 'Error', code, message: '', committed: false, stack: undefined }
      const one = made(`${call}-1`, [1, 2, 9], { error })
      return history([{ ...one, step: { ...one.step, ...step } }], { killed }).wrong.length
    }
    expect([rejected('update', 'ABORT_ERR'), rejected('update', 'ABORT_ERR', { abort: 1 })]).toStrictEqual([
      1, 0,
    ])
    const held = ['update', 'writeSync'].map((call) => rejected(call, 'ERR_ATOMIC_REENTRANT'))
    expect(held).toStrictEqual([1, 0])
    const late = 'ERR_ATOMIC_LOCK_TIMEOUT'
    const reasons: [Partial<Step>, boolean?][] = [
      [{}],
      [{ options: { timeout: 1 } }],
      [{ sync: true }],
      [{}, true],
    ]
    expect(reasons.map((reason) => rejected('session', late, ...reason))).toStrictEqual([1, 0, 0, 0])
    const changed = 'ERR_ATOMIC_CHANGED'
    const ifChanged = { options: { ifChanged: true } }
    expect([rejected('batch', changed), rejected('write', changed, ifChanged)]).toStrictEqual([1, 1])
    expect(rejected('batch', changed, { ...ifChanged, files: ['a'] })).toBe(0)
    expect(['update', 'transaction'].map((call) => rejected(call, 'ERR_ATOMIC_CONFLICT'))).toStrictEqual([
      1, 0,
    ])
  })
})
