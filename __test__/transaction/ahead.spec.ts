// The functions of the next group run while the group before is being committed. That commit is held by a program that has the root's lock.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { atomicIndexUpdate, atomicTransaction, snapshotReadIndex, type Transaction } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { first, whileHeld } from '../helpers/held-commit'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection, until } from '../helpers/promises'
import { test } from '../helpers/test'

interface List {
  all: number[]
}

const INITIAL: List = { all: [] }

/** Adds `at` in place, and tells what it was given. */
function adding(at: number, runs: number[][]) {
  return (index: List) => {
    runs.push([...index.all])
    index.all.push(at)
    return index
  }
}

const add = (tx: Transaction, at: number, runs: number[][], file = 'index.json') =>
  tx.update<List>(file, adding(at, runs), { initial: INITIAL })

describe('while the transactions before it are committed', () => {
  test('a function runs on what they write, and what it changes in place is not theirs', async ({ dir }) => {
    const [runs, events]: [number[][], string[]] = [[], []]
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, [])).then(({ value }) => {
        events.push('the first resolves')
        return value.value
      })
      const behind = atomicTransaction(dir, (tx) => add(tx, 2, runs))
      await until(() => runs.length > 0)
      events.push('the second runs')
      release()
      expect(await before).toEqual({ all: [1] })
      expect((await behind).value.value).toEqual({ all: [1, 2] })
      expect((await before).all).toEqual([1])
    })
    expect(events).toEqual(['the second runs', 'the first resolves'])
    expect(runs).toEqual([[1]])
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 2] })
  })

  test('another program changes the index between the two: the function runs again', async ({ dir }) => {
    const runs: number[][] = []
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, [])).then(() => {
        // Before anything else can happen.
        writeJson(join(dir, 'index.json'), { all: [1, 100] })
      })
      const behind = atomicTransaction(dir, (tx) => add(tx, 2, runs))
      await until(() => runs.length > 0)
      release()
      await Promise.all([before, behind])
    })
    expect(runs).toEqual([[1], [1, 100]])
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 100, 2] })
  })

  test('their commit fails: the function runs again, on what is there', async ({ dir }) => {
    const runs: number[][] = []
    await whileHeld(dir, async (release) => {
      const before = rejection(first(dir, (tx) => add(tx, 1, []), { timeout: 300 }))
      const behind = atomicTransaction(dir, (tx) => add(tx, 2, runs))
      await until(() => runs.length > 0)
      expect((await before).code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
      release()
      expect((await behind).value.value).toEqual({ all: [2] })
    })
    expect(runs).toEqual([[1], []])
  })

  test('what a function throws is told when it has thrown on what is there, and its transaction is left out', async ({
    dir,
  }) => {
    const runs: number[][] = []
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, []))
      const good = [2, 3].map((at) => atomicTransaction(dir, (tx) => add(tx, at, [])))
      const bad = rejection(
        atomicTransaction(dir, (tx) => {
          tx.write('bad', '')
          tx.update<List>(
            'index.json',
            (index) => {
              runs.push([...index.all])
              index.all.push(-1)
              throw new Error('mine')
            },
            { initial: INITIAL },
          )
        }),
      )
      const last = atomicTransaction(dir, (tx) => add(tx, 4, []))
      await until(() => runs.length > 0)
      release()
      expect((await bad).message).toBe('mine')
      await Promise.all([before, ...good, last])
    })
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 2, 3, 4] })
    expect(runs.length).toBeGreaterThan(1)
  })

  test('an abort and a timeout are told at once, and nothing of these calls is there', async ({ dir }) => {
    const runs: number[][] = []
    const controller = new AbortController()
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, []))
      const { signal } = controller
      const aborted = rejection(atomicTransaction(dir, (tx) => add(tx, 2, runs), { signal }))
      const late = rejection(atomicTransaction(dir, (tx) => add(tx, 3, runs), { timeout: 300 }))
      const good = atomicTransaction(dir, (tx) => add(tx, 4, runs))
      await until(() => runs.length === 3)
      controller.abort()
      expect((await aborted).name).toBe('AbortError')
      expect((await late).code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
      release()
      await Promise.all([before, good])
    })
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 4] })
  })

  test('all that wait are given up: those that come later are committed', async ({ dir }) => {
    const [running, runs]: [number[][], number[][]] = [[], []]
    const controller = new AbortController()
    await whileHeld(dir, async (release) => {
      const before = atomicTransaction(dir, (tx) => add(tx, 1, running))
      await until(() => running.length > 0)
      const { signal } = controller
      const aborted = rejection(atomicTransaction(dir, (tx) => add(tx, 2, runs), { signal }))
      const late = rejection(atomicTransaction(dir, (tx) => add(tx, 3, runs), { timeout: 300 }))
      expect((await late).code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
      controller.abort()
      expect((await aborted).name).toBe('AbortError')
      release()
      await before
    })
    // Then nobody waits any more.
    await setImmediate()
    await atomicTransaction(dir, (tx) => add(tx, 4, []), { timeout: 10_000 })
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 4] })
  })

  test('a caller of theirs changes where a path leads: it is followed once more', async ({ dir }) => {
    const runs: number[][] = []
    for (const version of ['v1', 'v2']) mkdirSync(join(dir, version))
    symlinkSync('v1', join(dir, 'current'))
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, [])).then(() => {
        rmSync(join(dir, 'current'))
        symlinkSync('v2', join(dir, 'current'))
      })
      const behind = atomicTransaction(dir, (tx) => {
        add(tx, 2, runs)
        tx.write('current/file', 'text')
      })
      await until(() => runs.length > 0)
      release()
      await Promise.all([before, behind])
    })
    expect(existsSync(join(dir, 'v1/file'))).toBe(false)
    expect(readFileSync(join(dir, 'v2/file'), 'utf8')).toBe('text')
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 2] })
  })

  test('the files of those behind cannot be found, while a function runs: nobody is told of that', async ({
    dir,
  }) => {
    const journal = join(dir, '.atomic', 'journal')
    // A version that is none of ours.
    const put = (version: string) => {
      const file = openSync(journal, 'r+')
      writeSync(file, `ATOMTXS${version}`, 0)
      closeSync(file)
    }
    let isBroken = false
    let mended: Promise<void> | undefined
    const functionOf = (at: number) => (index: List) => {
      const next = { all: [...index.all, at] }
      if (at === 60 && mended === undefined) {
        // Until then the files of the calls up to 128 have been found, as a rule; those of the next ones are not.
        for (const end = performance.now() + 40; performance.now() < end; );
        put('9')
        isBroken = true
        mended = setTimeout(80).then(() => {
          put('1')
          isBroken = false
        })
      }
      return at === 67 && isBroken && mended ? mended.then(() => next) : next
    }
    const count = 250
    await whileHeld(dir, async (release) => {
      const publish = (at: number) => (tx: Transaction) => {
        tx.write(`file-${at}`, '')
        tx.update<List>('index.json', functionOf(at), { initial: INITIAL })
      }
      const before = first(dir, publish(1))
      const behind = Array.from({ length: count - 1 }, (_, at) => atomicTransaction(dir, publish(at + 2)))
      await until(() => mended !== undefined)
      await mended
      release()
      await Promise.all([before, ...behind])
    })
    expect(readJson(join(dir, 'index.json')).all).toEqual(Array.from({ length: count }, (_, at) => at + 1))
  })

  test('a call inside a function is refused as ever', async ({ dir }) => {
    const runs: number[][] = []
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, []))
      const nested = rejection(
        atomicTransaction(dir, (tx) => {
          tx.update<List>(
            'index.json',
            async (index) => {
              runs.push([...index.all])
              await atomicIndexUpdate(join(dir, 'index.json'), () => ({}))
              return index
            },
            { initial: INITIAL },
          )
        }),
      )
      await until(() => runs.length > 0)
      release()
      expect((await nested).code).toBe('ERR_ATOMIC_NESTED')
      await before
    })
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1] })
  })

  test('a function that never settles keeps no call waiting', async ({ dir }) => {
    const runs: number[][] = []
    const controller = new AbortController()
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, []))
      const never = rejection(
        atomicTransaction(
          dir,
          (tx) => {
            tx.update<List>(
              'index.json',
              (index) => {
                runs.push([...index.all])
                return new Promise<List>(() => {})
              },
              { initial: INITIAL },
            )
          },
          { signal: controller.signal },
        ),
      )
      await until(() => runs.length > 0)
      release()
      await before
      controller.abort()
      expect((await never).name).toBe('AbortError')
    })
    await atomicTransaction(dir, (tx) => add(tx, 2, []))
    expect(readJson(join(dir, 'index.json'))).toEqual({ all: [1, 2] })
  })
})

describe('functions run behind them', () => {
  test('whose transaction has a file that they change: it is as they made it', async ({ dir }) => {
    const seen: string[] = []
    writeFileSync(join(dir, 'document'), 'old')
    const publish = (tx: Transaction, at: number) => {
      tx.write('document', `by ${at}`)
      tx.update<List>(
        'index.json',
        (index) => {
          seen.push(readFileSync(join(dir, 'document'), 'utf8'))
          return { all: [...index.all, at] }
        },
        { initial: INITIAL },
      )
    }
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => publish(tx, 1))
      const behind = atomicTransaction(dir, (tx) => publish(tx, 2))
      await until(() => seen.length > 0)
      release()
      await Promise.all([before, behind])
    })
    expect(seen).toEqual(['old', 'by 1'])
  })

  test('on an index that they know by another name', async ({ dir }) => {
    const runs: number[][] = []
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))
    await whileHeld(dir, async (release) => {
      const before = first(dir, (tx) => add(tx, 1, [], 'real/index.json'))
      const behind = atomicTransaction(dir, (tx) => add(tx, 2, runs, 'link/index.json'))
      await until(() => runs.length > 0)
      release()
      await Promise.all([before, behind])
    })
    expect(runs).toEqual([[1]])
    expect((await snapshotReadIndex(dir, ['real/index.json']))[0]).toEqual({ all: [1, 2] })
  })
})
