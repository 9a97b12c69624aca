// A sweeper among living writers: it takes nothing from them. `ATOMIC_SOAK=1` makes it half a minute.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sweep } from '@pipeline/atomic'
import { expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { readJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

const MS = process.env.ATOMIC_SOAK ? 30_000 : 2000
const WRITERS = 8

/** Does all that leaves something beside a file meanwhile, until the test says that it is enough; returns how often. */
const write = async (remote: Remote, dir: string, id: number) => {
  const { require, receive, send } = remote
  const { readFileSync, writeFileSync } = require('node:fs') as typeof import('node:fs')
  let isOver = false
  receive().then(() => {
    isOver = true
  })
  send('started')
  let round = 0
  for (; !isOver; round++) {
    const text = `${id} ${round} ${'x'.repeat(1000)}`
    await remote.atomicWrite(`${dir}/${id}.txt`, text)
    if (readFileSync(`${dir}/${id}.txt`, 'utf8') !== text) throw new Error('another text')
    await remote.atomicIndexUpdate(`${dir}/index.json`, ({ n }: any) => ({ n: n + 1 }), {
      initial: { n: 0 },
      backup: { generations: 3 },
    })
    await remote.atomicWriteAll([0, 1, 2].map((at) => ({ path: `${dir}/${id}.${at}`, data: text })))
    await remote.atomicDirectory(`${dir}/site${id}`, async (staging: string) => {
      for (let at = 0; at < 5; at++) writeFileSync(`${staging}/${at}`, text)
    })
    for (let at = 0; at < 5; at++) {
      if (readFileSync(`${dir}/site${id}/${at}`, 'utf8') !== text) throw new Error('another page')
    }
    const file = await remote.AtomicFile.open(`${dir}/${id}.stream`)
    await file.write(text)
    await file.commit()
    await remote.appendLines(`${dir}/log`, `${id} ${round}`, { flush: false })
    await remote.atomicTransaction(dir, (tx) => {
      tx.write(`${id}.tx`, text)
      tx.update('sum.json', (sum: any) => ({ n: sum.n + 1 }), { initial: { n: 0 } })
    })
  }
  return round
}

test(
  'a sweeper takes nothing from eight living writers, and leaves nothing behind them',
  async ({ dir }) => {
    const root = makeDir(dir, 'root')
    const writers = Array.from({ length: WRITERS }, (_, id) => inProcess(write, [root, id]))
    await Promise.all(writers.map((writer) => writer.next()))
    let found = 0
    let removed = 0
    for (const end = Date.now() + MS; Date.now() < end; ) {
      const swept = await sweep(root, { recursive: true })
      expect(swept.errors).toEqual([])
      found += swept.kept.length
      removed += swept.removed.length
    }
    for (const writer of writers) writer.send('enough')
    const rounds: number[] = await Promise.all(writers.map((writer) => writer.returned))
    const sum = rounds.reduce((sum, round) => sum + round, 0)
    // It has met them at work. What it has removed were old trees that their writers were about to remove.
    expect(found).toBeGreaterThan(0)
    expect(readJson(join(root, 'index.json'))).toEqual({ n: sum })
    expect(readJson(join(root, 'sum.json'))).toEqual({ n: sum })
    expect(readFileSync(join(root, 'log'), 'utf8').split('\n')).toHaveLength(sum + 1)
    await sweep(root, { recursive: true })
    const rest = names(root).filter((name) => name.startsWith('.'))
    expect(rest).toEqual(['.atomic'])
    if (process.env.ATOMIC_SOAK) console.log({ rounds, found, removed })
  },
  MS + 60_000,
)
