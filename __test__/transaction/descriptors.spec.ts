// Transactions of more indexes than a process with few descriptors may lock at once.

import { expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { readJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

/** 32 of them are for locks. */
const FEW_DESCRIPTORS = { before: 'ulimit -n 256' }

/** Some rounds of transactions, all at once in each root, of so many indexes each. */
async function commit({ atomicTransaction }: Remote, roots: string[], calls: number, indexes: number) {
  const add = (index = { n: 0 }) => ({ n: index.n + 1 })
  const one = (root: string, call: number) =>
    atomicTransaction(
      root,
      (tx) => {
        for (let at = 0; at < indexes; at++) tx.update(`${call}-${at}.json`, add)
      },
      { flush: false, timeout: 60_000 },
    )
  for (let round = 0; round < 3; round++) {
    const all = roots.flatMap((root) => Array.from({ length: calls }, (_, call) => one(root, call)))
    for (const done of await Promise.allSettled(all)) {
      if (done.status === 'fulfilled') continue
      const { code, message } = done.reason
      return { code, message }
    }
  }
}

const indexes = (root: string) => names(root).filter((name) => name !== '.atomic')

needs('linux')('one that needs too many says so, and changes nothing', async ({ dir }) => {
  const failed = await inProcess(commit, [[dir], 1, 33], FEW_DESCRIPTORS).returned
  expect(failed).toMatchObject({ code: 'EMFILE', message: expect.stringContaining('(ulimit -n)') })
  expect(indexes(dir)).toEqual([])
})

needs('linux')('those that need too many together are committed one by one', async ({ dir }) => {
  expect(await inProcess(commit, [[dir], 5, 8], FEW_DESCRIPTORS).returned).toBeUndefined()
  expect(indexes(dir).map((name) => readJson(`${dir}/${name}`).n)).toEqual(Array(40).fill(3))
})

needs('linux')('those of several roots do not keep from each other what they need', async ({ dir }) => {
  const roots = ['a', 'b', 'c', 'd'].map((name) => makeDir(dir, name))
  expect(await inProcess(commit, [roots, 1, 30], FEW_DESCRIPTORS).returned).toBeUndefined()
  for (const root of roots) expect(indexes(root)).toHaveLength(30)
})

/** Updates of so many indexes, one after the other, while a transaction of `indexes` is committed. */
async function beside(
  { atomicIndexUpdate, atomicTransaction }: Remote,
  dir: string,
  calls: number,
  indexes: number,
) {
  let isOver = false
  let updates = 0
  const loop = async (path: string) => {
    while (!isOver) {
      const held = async ({ n }: { n: number }) => {
        await new Promise((resolve) => setTimeout(resolve, 10))
        return { n: n + 1 }
      }
      await atomicIndexUpdate(path, held, { initial: { n: 0 }, flush: false, timeout: 60_000 })
      updates++
    }
  }
  const loops = Array.from({ length: calls }, (_, at) => loop(`${dir}/plain-${at}.json`))
  for (let round = 0; round < 10; round++) {
    const before = updates
    await atomicTransaction(
      dir,
      (tx) => {
        for (let at = 0; at < indexes; at++)
          tx.update(`${at}.json`, (index = { n: 0 }) => ({ n: index.n + 1 }))
      },
      { flush: false, timeout: 60_000 },
    )
    while (updates === before) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  isOver = true
  await Promise.all(loops)
}

for (const calls of [8, 60])
  needs('linux')(
    `one that needs most comes to its locks beside ${calls} updates, and they to theirs`,
    async ({ dir }) => {
      await inProcess(beside, [dir, calls, 30], FEW_DESCRIPTORS).returned
      expect(readJson(`${dir}/29.json`).n).toBe(10)
    },
  )

/** What calls are told when all locks that the process may have are held by updates that go on for longer. */
async function full({ atomicIndexUpdate, atomicTransaction, appendLines }: Remote, dir: string) {
  let go = () => {}
  const gone = new Promise<void>((resolve) => {
    go = resolve
  })
  let inside = 0
  const hold = async () => {
    inside++
    await gone
    return {}
  }
  const holders = Array.from({ length: 32 }, (_, at) =>
    atomicIndexUpdate(`${dir}/${at}.json`, hold, { initial: {} }),
  )
  while (inside < 32) await new Promise((resolve) => setTimeout(resolve, 1))
  const told = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => undefined,
      (error) => error,
    )
    return `${error?.code} ${error?.message.includes('it holds as many as it may')}`
  }
  const all: string[] = []
  for (const timeout of [0, 20]) {
    all.push(await told(atomicIndexUpdate(`${dir}/a.json`, () => ({}), { initial: {}, timeout })))
    all.push(await told(appendLines(`${dir}/a.log`, ['x'], { timeout })))
    for (const indexes of [1, 2])
      all.push(
        await told(
          atomicTransaction(
            dir,
            (tx) => {
              for (let at = 0; at < indexes; at++) tx.update(`tx-${at}.json`, () => ({}))
            },
            { timeout },
          ),
        ),
      )
  }
  go()
  await Promise.all(holders)
  return all
}

needs('linux')('a call that gets no lock as all are used up says so', async ({ dir }) => {
  const told = await inProcess(full, [dir], FEW_DESCRIPTORS).returned
  expect(told).toEqual(Array(8).fill('ERR_ATOMIC_LOCK_TIMEOUT true'))
})

/** Leaves a transaction of so many indexes that is to be recovered: the second one, as only files that are there are replaced by renameat. */
async function interrupt(root: string, indexes: number) {
  const kill = 'strace -f -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=1'
  const child = inProcess(commit, [[root], 1, indexes], { before: `set -- ${kill} "$@"` })
  await child.returned.catch(() => {})
  await child.exit
}

const update = ({ atomicTransaction }: Remote, root: string) =>
  atomicTransaction(root, (tx) => tx.write('last', ''), { timeout: 60_000 }).then(
    () => undefined,
    ({ code, message }) => ({ code, message }),
  )

needs('strace that may attach')('recovery may lock more than the share', async ({ dir }) => {
  await interrupt(dir, 40)
  expect(await inProcess(update, [dir], FEW_DESCRIPTORS).returned).toBeUndefined()
  expect(readJson(`${dir}/0-39.json`).n).toBe(2)
})

needs('strace that may attach')('recovery that needs more than there are says so', async ({ dir }) => {
  await interrupt(dir, 200)
  expect(await inProcess(update, [dir], FEW_DESCRIPTORS).returned).toMatchObject({
    code: 'EMFILE',
    message: expect.stringContaining('is to be recovered'),
  })
  expect(await inProcess(update, [dir]).returned).toBeUndefined()
  expect(readJson(`${dir}/0-199.json`).n).toBe(2)
})
