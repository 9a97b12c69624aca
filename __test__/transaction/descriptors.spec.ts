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
      { flush: false, timeout: Number.POSITIVE_INFINITY },
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
