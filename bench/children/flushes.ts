// Writes, appends, updates and transactions in a process of its own, in which every flush may be slow, with marks around every batch.

import { mkdirSync, rmdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { batchWriters } from '../contenders/batches'
import { fourFiles } from '../contenders/four-files'
import { change, writeIndex } from '../contenders/index-file'
import { appenders } from '../contenders/lines'
import { updaters } from '../contenders/updaters'
import { writers } from '../contenders/writers'
import { serve } from './child'
import { markOf, type Question } from './marks'

const data = Buffer.alloc(1024, 'a heading as any other\n')

type Operate = (number: number) => Promise<unknown>

/** Returns what is to be timed. */
async function prepare(question: Question): Promise<() => Promise<unknown>> {
  const { contender, operations, atOnce, folder } = question
  const numbers = Array.from({ length: operations }, (_, number) => number)
  const path = (number: number) => join(folder, `${number}.json`)
  const batch = batchWriters.find(({ name }) => name === contender)
  if (batch) return () => batch.writeAll(numbers.map((number) => ({ path: path(number), data })))
  const changer = fourFiles.find(({ name }) => name === contender)
  const operate = changer ? await changer.open(folder, question.records) : await one(question, path)
  if (atOnce) return () => Promise.all(numbers.map(operate))
  return async () => {
    for (const number of numbers) await operate(number)
  }
}

async function one(question: Question, path: (number: number) => string): Promise<Operate> {
  const { contender, records, folder } = question
  if (records) {
    const index = join(folder, 'index.json')
    await writeIndex(index, records)
    const update = await updaters.find(({ name }) => name === contender)?.open(index)
    if (update) return (number) => update(change(number))
  }
  const appender = appenders.find(({ name }) => name === contender)
  if (appender) return (number) => appender.append(join(folder, 'lines'), `${number} ${'x'.repeat(100)}`)
  const writer = writers.find(({ name }) => name === contender)
  if (writer) return (number) => writer.write(path(number), data)
  throw new Error(`no contender is called ${contender}`)
}

serve(async (question: Question): Promise<number> => {
  const { folder } = question
  await mkdir(folder)
  const run = await prepare(question)
  const mark = (which: 'begin' | 'end') => {
    const path = join(folder, markOf(question, which))
    mkdirSync(path)
    rmdirSync(path)
  }
  mark('begin')
  const start = performance.now()
  await run()
  const took = performance.now() - start
  mark('end')
  await rm(folder, { recursive: true })
  return took
})
